#!/usr/bin/env bash
# Can the tests fail? Breaks one thing at a time in a copy of the sources, builds, and runs a test that has to turn red.
#
#   tests/mutants.sh [WORD...]      all mutants, or those whose names contain one of the words
#
# Not part of ctest: five to ten minutes on two cores. Prints a line for each mutant; the exit code is 0 when all of them
# were caught, after all the tests used were green on the unchanged copy. A mutant whose edit no longer changes its file,
# or no longer compiles, counts as an error: bring it up to date. JOBS says how many jobs the build runs side by side.
set -uo pipefail
source_folder=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy=$work/source build=$work/build
export NDARTS_BUILD=$build NDARTS_SOURCE=$copy XDG_CACHE_HOME=$work/cache PYTHONDONTWRITEBYTECODE=1
jobs=${JOBS:-$(nproc)}
caught=0 survived=() broken=() known_green=$'\n'

mkdir -p "$copy"
git -C "$source_folder" ls-files -z --cached --others --exclude-standard |
    tar -C "$source_folder" --null --ignore-failed-read -T - -cf - | tar -C "$copy" -xf -

make_targets() { ninja -C "$build" -j "$jobs" "$@" >"$work/build.log" 2>&1; }

# run_test PATH ARGUMENT...: a test below tests/, by the kind of file it is
run_test() {
    local path=$1
    shift
    case $path in
    unit/*) make_targets "unit_${path#unit/}" && (cd "$build/tests" && timeout 300 "./unit_${path#unit/}") ;;
    golden/*) timeout 300 python3 "$copy/tests/golden.py" "$copy/tests/$path.test" ;;
    simt/graphs) make_targets simt_graphs && timeout 300 "$build/tests/simt/simt_graphs" "$copy/tests/simt/$1" "${@:2}" ;;
    simt/ranks) make_targets fake_cudart fake_nvrtc fake_nccl fake_no_nvJitLink fake_no_cudnn fake_no_nccl ndarts_mpi && timeout 300 python3 "$copy/tests/$path.py" ;;
    simt/*) make_targets fake_cudart fake_nvrtc fake_cudnn fake_no_nvJitLink fake_no_cudnn && timeout 300 python3 "$copy/tests/$path.py" "$@" ;;
    cli/ranks*) make_targets ndarts_mpi wrong_rank && timeout 600 python3 "$copy/tests/$path.py" "$@" ;;
    python/*) make_targets ndarts_shared && timeout 600 python3 "$copy/tests/$path.py" "$@" ;;
    cli/library) make_targets ndarts_shared ndarts_static && timeout 300 python3 "$copy/tests/$path.py" ;;
    *) timeout 600 python3 "$copy/tests/$path.py" "$@" ;;
    esac >"$work/test.log" 2>&1
}

wanted() {
    local word
    [ ${#words[@]} -eq 0 ] && return 0
    for word in "${words[@]}"; do
        [[ $1 == *"$word"* ]] && return 0
    done
    return 1
}

# mutant NAME FILE SED [FILE SED]... -- TEST ARGUMENT...
mutant() {
    local name=$1 files=() started=$SECONDS
    shift
    wanted "$name" || return 0
    while [ "$1" != -- ]; do
        files+=("$1")
        cp "$copy/$1" "$work/original.${#files[@]}"
        edits[${#files[@]}]=$2
        shift 2
    done
    shift
    if [[ $known_green != *$'\n'"$*"$'\n'* ]]; then
        # What was built last may be the mutant before this one.
        if ! make_targets ndartsc ndarts-run ndarts-opt ref_tool || ! run_test "$@"; then
            echo "ERROR     $name: $* is red already: $(tail -n 1 "$work/test.log")"
            broken+=("$name")
            return 0
        fi
        known_green+="$*"$'\n'
    fi
    local i good=1
    for i in "${!files[@]}"; do
        sed -i -E "${edits[$((i + 1))]}" "$copy/${files[$i]}"
        if cmp -s "$copy/${files[$i]}" "$work/original.$((i + 1))"; then
            echo "ERROR     $name: the edit changes nothing in ${files[$i]}"
            good=0
        fi
    done
    if [ $good = 1 ] && ! make_targets ndartsc ndarts-run ndarts-opt ref_tool; then
        echo "ERROR     $name does not compile: $(grep -m1 error "$work/build.log")"
        good=0
    fi
    if [ $good = 0 ]; then
        broken+=("$name")
    elif run_test "$@"; then
        echo "SURVIVED  $name: $* stays green ($((SECONDS - started)) s)"
        survived+=("$name")
    else
        echo "caught    $name by $* ($((SECONDS - started)) s)"
        caught=$((caught + 1))
    fi
    for i in "${!files[@]}"; do
        cp "$work/original.$((i + 1))" "$copy/${files[$i]}"
    done
}

words=("$@")
declare -a edits
cmake -S "$copy" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O1 >"$work/build.log" 2>&1 &&
    make_targets ndartsc ndarts-run ndarts-opt ref_tool || { cat "$work/build.log"; exit 2; }

# ---- the optimisers ----
mutant 'no clipping' passes/update.c 's/if \(!\(clip > 0\)\)/if (true)/' -- reference/supernet_f64 darts/drop0.0
mutant 'no weight decay' passes/optimizer.c 's/decay = u->settings->decay/decay = (u->ctx->kind == GRAPH_search_alphas) * u->settings->decay/' \
    -- reference/supernet_f64 darts/drop0.0
mutant 'no decay of the alphas' passes/optimizer.c 's/decay = u->settings->decay/decay = (u->ctx->kind != GRAPH_search_alphas) * u->settings->decay/' \
    -- reference/supernet_f64 darts/drop0.0
mutant 'no momentum' passes/optimizer_sgd.c 's/momentum == 0/true/' -- reference/supernet_f64 darts/drop0.0
mutant 'Adam without bias correction' passes/optimizer_adam.c 's/update_binary\(u, OP_div, m, u->scalars\[0\]\)/m/' -- reference/supernet_f64 darts/drop0.0
mutant 'AdamW decays by the gradient' passes/optimizer_adamw.c 's/return update_decayed\(u, w, step\);/return step;/' -- cli/optimizers prepare test_trainings
mutant 'Adam of the weights counts updates of the alphas' runtime/driver/step.c 's/alphas \? at->alphas_updates : at->global_step/at->alphas_updates/' \
    -- cli/optimizers prepare test_trainings
mutant 'no clipping in training' passes/update.c 's/if \(!\(clip > 0\)\)/if (!(clip > 0) || u->ctx->kind == GRAPH_train)/' \
    -- reference/networks_f64 noisy_darts_b/small

# ---- batch norm, the loss, the network ----
mutant 'biased running variance' passes/expand_norm.c 's/(bn.running_var, )m.unbiased/\1m.variance/' -- reference/ops_f64 dil_conv_3x3/s2
mutant 'unbiased variance normalises' passes/expand_norm.c 's/variance = m.variance/variance = m.unbiased/' -- reference/ops_f64 dil_conv_3x3/s2
mutant 'batch norm in training mode while evaluating' passes/expand_norm.c \
    's/if \(graph_kind_is_training\(e->ctx->kind\)\)/if (e->ctx->kind != GRAPH_infer)/' -- reference/supernet_f64 darts/drop0.0
mutant 'shift of a folded batch norm lost' passes/expand_norm.c \
    's/(rewrite_binary\(b, OP_mul, x, scale\)), shift/\1, ir_constant(b, 0)/' -- reference/networks_f64 noisy_darts_b/small
mutant 'folded into the weights twice' passes/fold_batch_norm.c 's/reshape, scale, 1, &shape/reshape, rewrite_binary(\&b, OP_mul, scale, scale), 1, \&shape/' \
    passes/fold_batch_norm.c 's/(#include "passes\/)staging.h"/\1rewrite.h"\n\1staging.h"/' -- reference/networks_f64 noisy_darts_b/small
mutant 'no auxiliary loss' passes/attach_loss.c 's/ir_constant\(b, weight\)/ir_constant(b, 0 * weight)/' -- reference/networks_f64 noisy_darts_b/small
mutant 'average pool counts padding' codegen/stages/stage_windows.c 's/return cg_op2\(b, OP_div, sum, window_size.*$/return cg_op2(b, OP_div, sum, cg_constant(b, (double)(w.kernel[0] * w.kernel[1]) + 0 * (double)dim[1]));/' \
    -- reference/ops_f64 avg_pool_3x3/s1
mutant 'candidates weighted by the alphas themselves' passes/expand_norm.c 's/^    return rewrite_binary\(b, OP_div, powers, .*$/    return powers;/' \
    -- reference/supernet_f64 darts/drop0.0

# ---- noise and drop path ----
mutant 'noise in evaluation' passes/expand.c 's/return graph_kind_is_training\(e->ctx->kind\) \? expand_call/return true ? expand_call/' -- reference/noise
mutant 'drop path in evaluation' passes/insert_drop_path.c 's/if \(!graph_kind_is_training\(ctx->kind\)\)/if (false)/' \
    passes/expand_random.c 's/^    if \(!graph_kind_is_training\(e->ctx->kind\)\)/    if (e->ctx->kind == GRAPH_infer)/' -- reference/noise
mutant 'survivors not divided by keep' passes/expand_random.c \
    's/return rewrite_binary\(b, OP_div, (rewrite_binary\(b, OP_mul, inputs\[0\], mask\)), keep\)/return \1/' -- reference/supernet_f64 gaussian/drop0.3
mutant 'no drop path in training' passes/insert_drop_path.c 's/train.drop_path > 0/train.drop_path > 9/' \
    -- reference/networks_f64 noisy_darts_a/small
mutant 'drop path on the identity' passes/insert_drop_path.c 's/is_identity\(ctx->module, callee\) \|\| //' -- golden/passes/insert_drop_path
mutant 'std of the noise is differentiated' genotypes/methods.nd 's/std \* detach\(deviation\(x\)\)/std * deviation(x)/' -- reference/supernet_f64 gaussian/drop0.0
mutant 'biased std of the noise' passes/expand_random.c 's/\.unbiased\)/.variance)/' -- reference/noise
mutant 'std of uniform noise for its variance' genotypes/methods.nd 's/sqrt\(3 \* variance\)/sqrt(3) * variance/' -- reference/noise
mutant 'noise does not decay' frontend/noise.c 's/value_bool\(noise->decay\)/value_bool(false)/' -- reference/noise
mutant 'noise at the output when asked for at the input' frontend/method.c 's/return str_equal\(place, "input"\);/return false;/' -- reference/noise

# ---- random numbers ----
mutant 'nine rounds of Philox' base/hash.c 's/round < 10/round < 9/' -- unit/base_hash
mutant 'uniform draws rounded' base/hash.c 's/\.word\[0\] >> 8\) \* 0x1p-24/.word[0] >> 7) * 0x1p-25/' -- unit/base_hash
mutant 'image and element of the counter swapped' base/hash.c 's/\{\{element, image, stream_hash, step\}\}/{{image, element, stream_hash, step}}/' \
    -- unit/codegen_plain
mutant 'emitted Philox with one round less' codegen/c/prelude_c.c 's/round = 2; round < 9/round = 3; round < 9/' -- unit/codegen_fast
mutant 'emitted draws ignore the image' codegen/c/prelude_c.c 's/\(run->image_base \+ \(uint64_t\)image\)/(run->image_base + (uint64_t)image * 0)/' -- unit/codegen_plain

# ---- gradients and passes ----
mutant 'gradient of a square root' passes/gradients_elementwise.c '/^void grad_sqrt/,/^}/s/constant\(g, 0\.5\)|constant\(g, 2\)/constant(g, 3)/' -- unit/gradients
mutant 'gradient of a division' passes/gradients_elementwise.c '/^void grad_div/,/^}/s/gradients_unary\(g, OP_neg, quotient\)/quotient/' -- unit/gradients
mutant 'the smaller of constants for the larger' ir/scalar_form.c 's/return a > b \? a : b;/return a < b ? a : b;/' -- unit/codegen_evaluate
mutant 'a sigmoid of constants without its sign' ir/scalar_form.c 's/exp\(-a\)/exp(a)/' -- unit/codegen_evaluate
mutant 'minus a relu taken for its argument' passes/canonicalize.c 's/inputs\[0\]->op == OP_neg \?/inputs[0]->op == OP_relu ?/' -- golden/passes/canonicalize
mutant 'derive counts none' passes/derive.c 's/strcmp\(edge->operations\[i\], "none"\) != 0 \&\& //' -- unit/passes_derive
mutant 'derive takes the last of equals' passes/derive.c 's/weight > best.weight/weight >= best.weight/' -- unit/passes_derive
mutant 'derive orders edges by state' passes/derive.c 's/edges\[at - 1\].weight < edge.weight/false/' -- reference/derive
mutant 'statistics count the auxiliary head' ir/stats.c '/^static void add_products/,/^}/s/if \(!counter.auxiliary\)/if (true)/' -- reference/stats

# ---- runs ----
mutant 'chunks by the number of images of a batch' runtime/device/executor.c 's/work->chunk \* run->batch \/ run->chunks, end/work->chunk * (run->batch - 1) \/ run->chunks, end/' \
    -- reference/supernet_f64 darts/drop0.0
mutant 'alphas move in frozen epochs' runtime/loops/search.c 's/\(!is_frozen\(s\) \&\& !step_alphas/(!step_alphas/' -- cli/search test_threads_do_not_matter
mutant 'ascent in training mode' passes/perturb.c 's/evaluation.kind = GRAPH_eval/evaluation.kind = GRAPH_search_weights/' -- reference/sdarts_f64 sdarts/pgd_linf
mutant 'perturbed alphas move too' passes/perturb.c 's/bool here = ctx->kind == GRAPH_search_weights/bool here = ctx->kind <= GRAPH_search_weights/' -- reference/sdarts_f64 sdarts/random
mutant 'weights are not perturbed' genotypes/methods.nd 's/on_simplex\(weights \+ epsilon/on_simplex(weights + 0 * epsilon/' -- reference/sdarts_f64 sdarts/random
mutant 'second order: sign of the implicit part' passes/second_order.c 's/OP_sub, valid\[i\], binary/OP_add, valid[i], binary/' -- reference/second_f64 second/darts
mutant 'second order: twice as far' passes/second_order.c 's/probe_distance = 0.01/probe_distance = 0.02/' -- reference/second_f64 second/darts
mutant 'second order: statistics of the look ahead' passes/second_order.c 's/if \(number != VALID\)/if (number)/' -- reference/second_f64 second/darts
mutant 'second order: unpaired draws' passes/second_order.c 's/paired_draws \? PLUS/paired_draws ? MINUS/' -- reference/second_f64 second/gaussian_paired/drop0.3
mutant 'second order: decay of the step ahead' passes/optimizer.c 's/decay = u->settings->decay/decay = !u->ahead * u->settings->decay/' -- reference/second_f64 second/darts
mutant 'search: first bias of Adam' ir/run_scalars.def 's/adam_bias\(r, (r->optimizer->beta1)\)/1 - pow(\1, (double)r->updates + 4)/' \
    -- cli/steps prepare test_where_a_search_arrives
mutant 'search: second bias of Adam' ir/run_scalars.def 's/adam_bias\(r, (r->optimizer->beta2)\)/1 - pow(\1, (double)r->updates + 4)/' \
    -- cli/steps prepare test_where_a_search_arrives
mutant 'search: draws of the alphas' runtime/driver/step.c 's/at->global_step \+ 1;/at->global_step + (kind == GRAPH_search_alphas ? 8 : 1);/' -- cli/steps prepare test_where_a_search_arrives
mutant 'search: rate of the next epoch' runtime/driver/step.c 's/: \(double\)at->epoch; \/\* epochs/: (double)(at->epoch + r->is_search); \/* epochs/' -- cli/steps prepare test_where_a_search_arrives
mutant 'search: no drop path' runtime/driver/step.c 's/return (r->settings->drop_path.probability)/return 0 * \1/' -- cli/steps prepare test_where_a_search_arrives
mutant 'search: no decay of the noise' frontend/noise.c 's/value_bool\(noise->decay\)/value_bool(false)/' -- cli/steps prepare test_where_a_search_arrives
mutant 'train: draws of later steps' runtime/driver/step.c 's/at->global_step \+ 1;/at->global_step + (kind == GRAPH_train ? 6 : 1);/' -- cli/steps prepare test_where_a_training_arrives
mutant 'train: no drop path' runtime/driver/step.c 's/return (r->settings->train.drop_path)/return 0 * \1/' -- cli/steps prepare test_where_a_training_arrives
mutant 'train: rate of the next step' runtime/driver/step.c 's/\(double\)at->step \/ \(double\)at->steps :/(double)(at->step + 1) \/ (double)at->steps :/' -- cli/steps prepare test_where_a_training_arrives
mutant 'loops: another epoch' runtime/loops/loop.c 's/\.epoch = l->at.epoch,/.epoch = l->at.epoch + 1,/' -- cli/steps prepare test_where_a_training_arrives
mutant 'loops: another step of the epoch' runtime/loops/loop.c 's/\.step = l->at.step,/.step = l->at.step + 1,/' -- cli/steps prepare test_where_a_training_arrives
mutant 'loops: another step of the run' runtime/loops/loop.c 's/\.global_step = l->at.global_step,/.global_step = l->at.global_step + 1,/' -- cli/steps prepare test_where_a_training_arrives
mutant 'loops: another update of the alphas' runtime/loops/loop.c 's/\.alphas_updates = l->at.alphas_updates\}/.alphas_updates = l->at.alphas_updates + 3}/' -- cli/steps prepare test_where_a_search_arrives
mutant 'flips depend on the batch only' runtime/data/augment.c 's/(DrawKey key = \{seed, epoch, )\(uint32_t\)index/\10/' -- unit/runtime_data_batches
mutant 'random crops keep their shape' runtime/data/augment.c 's/draw_between\(key, stream, at \+ 1, log/draw_between(key, stream, at, log/' -- unit/runtime_augment
mutant 'jitter in one order' runtime/data/augment.c 's/int j = draw_int\(key, "augment.color", \(uint32_t\)\(4 \+ i\), i \+ 1\)/int j = i/' -- unit/runtime_augment
mutant 'contrast around the middle grey' runtime/data/image_color.c 's/int mean = [^;]*/int mean = 128 + 0 * (int)sum/' -- unit/runtime_image
mutant 'broken images leave gaps' runtime/data/loader.c 's/if \(count < at\) \{/if (false) {/' -- unit/runtime_image
mutant 'no label smoothing' passes/attach_loss.c 's/bool smooth = smoothing > 0 \&\& /bool smooth = false \&\& /' -- cli/train prepare test_label_smoothing
mutant 'evaluation crops at random' runtime/data/augment.c 's/bool random_part = a->enabled \&\& /bool random_part = /' -- unit/runtime_augment
mutant 'pictures without deviation' runtime/data/predict_pictures.c 's/net_data_options\(arena, program, GRAPH_infer, o->net, o->data,/net_data_options(arena, program, GRAPH_infer, o->net, NULL,/' \
    -- cli/pictures prepare test_the_logits_are_those_of_the_pixels
mutant 'order of images is that of the file' runtime/data/loader.c 's/if \(!o->shuffle_stream\)/if (true)/' -- unit/runtime_data_batches

# ---- on a GPU ----
mutant 'memory cleared on another stream' runtime/device/backend_cuda.c 's/(MemsetAsync\(.*), d->stream\)/\1, NULL)/' -- simt/end_to_end 'trace of a network'
mutant 'waits: a chain instead' runtime/device/cuda_capture.c 's/return api->StreamGetCaptureInfo \&\&/return false \&\&/' -- simt/orders
mutant 'waits: the latest alone' runtime/device/backend_cuda.c 's/if \(before >= 0\)/if (before >= 0 \&\& k == 0)/' -- simt/orders
mutant 'waits of a first call alone' codegen/cuda/cuda_edges.c 's/i < group_count; i\+\+/i < 1 \&\& group_count; i++/' -- simt/orders
mutant 'waits that others do not imply' codegen/cuda/cuda_edges.c 's/if \(has_bit\(before, waits\[i\]\)\)/if (i > 0)/' -- golden/codegen/cuda_waits
mutant 'waits: what reads does not wait for what wrote' codegen/cuda/cuda_waits.c 's/^            (wait_for\(m, arena, \&waits, place->segments\[s\].writer\);)/            if (i == 0) \1/' -- simt/orders
mutant 'waits: what overwrites does not wait for what reads' codegen/cuda/cuda_waits.c 's/i == 0 \&\& r; r = r->next/false \&\& r; r = r->next/' -- simt/orders
mutant 'captures that failed are forgotten' runtime/device/cudnn_conv.c 's/cudnn_remember\(d->cudnn, \&plan->kernels.*;//' -- simt/cudnn 'no capture'
mutant 'kernels loaded at their first launch' runtime/device/cuda_api.c 's/setenv\("CUDA_MODULE_LOADING".*;//' -- simt/end_to_end 'trace of a network'
mutant 'launches are part of kernels' runtime/device/backend_cuda.c 's/milliseconds \* 1e-3 - d->launch_seconds/milliseconds * 1e-3/' -- simt/end_to_end infer profile
mutant 'tensor cores in f32' runtime/device/cudnn.c 's/found->math == FMA_MATH\)/true)/' -- simt/cudnn trials
mutant 'memory for other math' runtime/device/cudnn.c 's/c->SetConvolutionMathType\(v->conv, found->math\) == SUCCESS \&\&//' -- simt/cudnn tf32
mutant 'engines that are not deterministic' runtime/device/cudnn_graph.c 's/found = notes\[i\] != NONDETERMINISTIC;/(void)notes;/' -- simt/cudnn graphs
mutant 'one run decides' runtime/device/cudnn_conv.c 's/TIMES = 3/TIMES = 1/' -- simt/cudnn 'best of three'
mutant 'images that are not there are added up' runtime/device/cudnn_conv.c 's/return start\(d, b->conv_clear/return true || start(d, b->conv_clear/' -- simt/cudnn 'small batches'
mutant 'windows that are not reversed' runtime/device/cudnn_conv.c 's/\(taps - 1\) \* both, \{inputs, -both, 1\}/0, {inputs, both, 1}/' -- simt/cudnn trials
mutant 'a library that computes something else' runtime/device/cudnn_conv.c 's/ \&\& are_near\(y, z, count\)//' -- simt/cudnn 'wrong results'

mutant 'kernels: a neighbour of an element that is not there yet' codegen/cuda/cuda_steps.c 's/from->whole == buffer \|\| \(from == buffer \&\& !is_element\(loads\[i\], axes\)\)/false/' \
    -- simt/graphs network.nd gradients
mutant 'kernels: later than what waits for them' codegen/cuda/cuda_group.c 's/before->latest = draft->level - 1/before->latest = draft->level + 1/' -- simt/graphs cell.nd search-weights
mutant 'kernels: a shared tile with the padding of the first' codegen/cuda/cuda_window_tile.c 's/\(o->pad\[ROW\] - w->pad\[ROW\]\) \* o->pitch/0/' -- simt/graphs cell.nd search-weights
mutant 'kernels: the first block merges' codegen/cuda/cuda_merge.c 's/gridDim.x - 1\) == gridDim.x - 1;/gridDim.x - 1) == 0;/' -- simt/graphs cell.nd search-weights
mutant 'kernels: counters that all calls share' codegen/cuda/emit_cuda.c 's/ints\[count\+\+\] = counter;/ints[count++] = 0 * counter;/' -- simt/graphs cell.nd search-weights
mutant 'kernels: chunks but the last' codegen/cuda/cuda_merge.c 's/left < 0 \? 0 : left;", all, /left < 0 ? 0 : left;", all - 1, /' -- simt/graphs cell.nd search-weights
mutant 'kernels: rows of all parts but the last' codegen/stages/print_scalar.c 's/part, part, parts, part\)/part, part, parts - 1, part)/' -- simt/graphs cell.nd search-weights
mutant 'kernels: chunks in order' codegen/c/prelude_c.c 's/row \& 1; row >>= 1\)/row; row = 0)/' -- unit/codegen_plain
mutant 'kernels: sums of the first tile' codegen/cuda/cuda_product.c 's/x0 < %lld; x0 \+= %d\)", q->x.tile, rows \*/x0 < %lld; x0 += %d)", q->x.tile, 0 * rows + 1 */' \
    -- simt/graphs cell.nd search-weights
mutant 'kernels: vectors that begin anywhere' codegen/cuda/cuda_vector.c 's/buffer->offset % VECTOR_BYTES == 0/true/' -- golden/codegen/cuda_vectors
mutant 'kernels: one guard for vectors that it cuts' codegen/stages/stage_index.c 's/index->constant % width/false/' -- golden/codegen/cuda_vectors
mutant 'kernels: every other vector' codegen/cuda/cuda_elements.c 's/" \* %d", width\)/" * %d", 2 * width)/' -- simt/graphs network.nd infer
mutant 'kernels: terms of another column' codegen/cuda/cuda_fragment_rows.c 's/group \/ 2 \* 4 \+ block/group \/ 2 * 2 + block/' -- simt/graphs network.nd gradients
mutant 'kernels: terms of a pixel twice' codegen/cuda/cuda_fragment_both.c 's/if \(zeros \&\& !all\)/if (zeros \&\& all)/' -- simt/graphs cell.nd search-weights
mutant 'kernels: slices but the last' codegen/cuda/cuda_fragment_both.c 's/int s = 1; s < %d; s\+\+\) sum/int s = 1; s < %d - 1; s++) sum/' -- simt/graphs network.nd gradients
mutant 'kernels: a window inside a row further down' codegen/cuda/cuda_fragment_window.c 's/int y0 = pixel0 \/ %lld, x0/int y0 = pixel0 \/ %lld + 1, x0/' -- simt/graphs inside.nd infer
mutant 'kernels: the rows behind those of a window inside' codegen/cuda/cuda_product_store.c 's/q->room > q->x.tile/false/' -- simt/graphs inside.nd infer
mutant 'kernels: half of a number' codegen/cuda/cuda_fragment_text.c 's/nd_to_tf32\(a - __uint_as_float\(\*big\)\)/0/' -- simt/graphs network.nd gradients
mutant 'kernels: sums of half the rows' codegen/cuda/cuda_fragment_text.c 's/distance = 4; distance < 32/distance = 4; distance < 16/' -- simt/graphs network.nd gradients
mutant 'kernels: a row of a tile without its last pixel' codegen/cuda/cuda_window_read.c 's/across \* r.stand.rows\), window/across * r.stand.rows - 1), window/' -- simt/graphs cell.nd search-weights
mutant 'kernels: the first rows of a tile' codegen/cuda/cuda_window_read.c 's/whole = r->o->region\[ROW\] \/ s->rows/whole = 0/; s/line < %lld\)", step/line < %lld - 1)", step/' \
    -- simt/graphs cell.nd search-weights
mutant 'kernels: part of the gradients of windows' codegen/cuda/cuda_window_grad.c 's/for \(int at = part; at < %lld/for (int at = part; at < %lld - 1/' -- simt/graphs cell.nd search-weights
mutant 'kernels: loads without their guard' codegen/stages/print_ahead.c 's/if \(!never\)/if (false)/; s/return !never;/return false;/' -- simt/graphs cell.nd search-weights
mutant 'kernels: a sum of windows that are not all its terms' codegen/cuda/cuda_window_chain.c 's/c->scattered \|\| find_result\(c, s\) < c->count/false/; s/\(found && found != c->count\)/false/; s/ && c.met == count//' -- golden/codegen/cuda_windows
mutant 'kernels: the image among the others' codegen/stages/print_c.c 's/str_equal\(axis_name\(p, a\), "image"\)/false/' -- golden/codegen/cuda_vectors
mutant 'kernels: sums of the first window' codegen/cuda/cuda_window.c 's/at < %lld; at \+= %d\)", count\[1\] \* count\[2\]/at < %lld; at += %d)", 1LL/' -- simt/graphs cell.nd search-weights

# ---- what leaves the house ----
mutant 'events with bare checksums' runtime/loops/tensorboard.c 's/ \+ 0xa282ead8u//' -- cli/tensorboard prepare test_train
mutant 'events of the epoch before' runtime/loops/metrics.c 's/while \(begin > 0 \&\& file->text\[begin - 1\] /while (begin > 1 \&\& file->text[begin - 2] /' -- cli/tensorboard prepare test_train
mutant 'weights of any shape' runtime/driver/weights_fit.c 's/tensor \&\& !rt_tensor_fits\(wanted, tensor, 1\)/false \&\& tensor/' -- cli/weights prepare test_every_command
mutant 'weights with names left over' runtime/driver/weights_fit.c 's/c.left_over\+\+;/continue;/' -- cli/weights prepare test_every_command
mutant 'library without its lock' lib/ndarts.c 's/pthread_mutex_lock\(\&net->mutex\);//; s/pthread_mutex_unlock\(\&net->mutex\);//' -- cli/library
mutant 'FairDARTS: penalty towards the middle' genotypes/methods.nd 's/-zero_one_weight \* mean\(\(/zero_one_weight * mean((/' -- reference/methods_f64 fair_darts/l2
mutant 'FairDARTS: squares for absolutes' genotypes/methods.nd 's/mean\(abs\(sigmoid\(alphas\) - 0.5\)\)/mean((sigmoid(alphas) - 0.5) * (sigmoid(alphas) - 0.5))/' -- reference/methods_f64 fair_darts/l1
mutant 'DARTS-: beta does not fade' genotypes/methods.nd 's/linear\(beta, 0, epochs\)/beta/' -- reference/methods_f64 darts_minus
mutant 'beta-DARTS: the sum instead of the mean' genotypes/methods.nd 's/mean\(logsumexp/sum(logsumexp/' -- reference/methods_f64 beta_darts
mutant 'PC-DARTS: the rest is not pooled' genotypes/methods.nd 's/max_pool\(rest, stride, stride\)/avg_pool(rest, stride, stride)/' -- reference/part_f64
mutant 'PC-DARTS: channels are not shuffled' genotypes/methods.nd 's/return shuffle\((concat\(.*\)), part\)/return \1/' -- reference/part_f64
mutant 'PC-DARTS: sigmoid of betas' genotypes/methods.nd 's/softmax\(betas\)/sigmoid(betas)/' -- reference/part_f64
mutant 'the wrong betas of a node' frontend/space.c 's/ir_attr_int\("begin", cell->edge\), ir_attr_int\("end", cell->edge \+ count\)/ir_attr_int("begin", 0), ir_attr_int("end", count)/' -- reference/part_f64
mutant 'a fast shuffle that leaves channels where they are' codegen/c/schedule_shuffle.c 's/\+ g \* %lld \+ c\];"/+ c * %lld + g];"/;s/at, \(long long\)each\);/at, (long long)groups);/' -- unit/codegen_fast
mutant 'sums of shuffled parts that are swapped' passes/sink_shuffles.c 's/inputs\[0\]->inputs\[part\]/inputs[0]->inputs[x->inputs[0]->input_count - 1 - part]/' -- golden/passes/sink_shuffles
mutant 'a gradient that is shuffled once more' passes/gradients_views.c 's|y->type.dim\[y->type.rank - 1\] / ir_attr_get_int\(y, "groups", 1\)|ir_attr_get_int(y, "groups", 1)|' -- unit/gradients
mutant 'genotypes without betas' passes/derive.c 's/space->edge_weights \? space->edge_weights\[edge\] : 1/1/' -- reference/part_derive
mutant 'SNAS: weights without a draw' genotypes/methods.nd 's/\(log_softmax\(alphas\) \+ gumbel\(\)\)/log_softmax(alphas)/' -- reference/methods_f64 snas
mutant 'Gumbel: the largest draw is infinite' passes/expand_random.c 's/^    inside = rewrite_binary\(b, OP_min.*$//' -- cli/chosen
mutant 'straight through: no gradient' genotypes/methods.nd 's/largest\(q\) \+ \(q - detach\(q\)\)/largest(q)/' -- reference/methods_f64 gumbel
mutant 'noise that is not relative' genotypes/methods.nd 's/if relative then std \* detach\(deviation\(x\)\) else std/std/' -- reference/noise
mutant 'checkpoints of what is no number' runtime/loops/loop_checkpoint.c 's/if \(!isfinite\(/if (false \&\& !isfinite(/' -- cli/resume
mutant 'GDAS runs all candidates' genotypes/methods.nd 's/^    run chosen$//' -- reference/chosen_f64 gdas/darts8
mutant 'GDAS without the gradient of its weight' genotypes/methods.nd 's/largest\(q\) \+ \(q - detach\(q\)\)/largest(q)/' -- reference/chosen_f64 gdas/darts8
mutant 'GDAS of NAS-Bench-201 without the other weights' genotypes/methods.nd 's/mixed \+ sum\(weights \* .*/mixed/' -- reference/chosen_f64 gdas/nb201
mutant 'random search that is not random' genotypes/methods.nd 's/largest\(uniform\(\)\)/largest(alphas)/' -- cli/chosen test_random_search
mutant 'all launches of a search by choice' runtime/device/backend_cuda.c 's/return !when->choice \|\| .*/return true || b->choices || when;/' -- simt/chosen
mutant 'statistics of what is not chosen' passes/expand_norm.c 's/&frame->when/frame ? \&(IrCondition){0} : NULL/' -- reference/chosen_f64 gdas/darts8
mutant 'an update of what is not chosen' passes/optimizer.c 's/&u->when/\&(IrCondition){0}/' -- golden/passes/update_chosen
mutant 'the norm counts what is not chosen' passes/update.c 's/if \(!gradients\[i\]\.when\.choice\)/if (true)/' -- golden/passes/update_chosen
mutant 'a kernel of two conditions' codegen/c/emit_c.c 's/ && cg_same_condition\(stage->steps\[end\], stage->steps\[first\]\)//' -- reference/chosen_f64 gdas/darts8
mutant 'a kernel of two conditions on a GPU' codegen/stages/stage_build.c 's/return a->when.choice == b->when.choice && a->when.cases == b->when.cases/return true/' -- simt/graphs chosen.nd search-weights --orders 1
mutant 'equal values of two cases are one' passes/cse.c 's/choice_of\(x\) == choice_of\(y\) && x->cases == y->cases/true/' -- golden/passes/cse
mutant 'a penalty that the alphas do not feel' passes/attach_loss.c 's/if \(loss \&\& penalty\)/if (false)/' -- reference/methods_f64 beta_darts
mutant 'a schedule over the epochs of the run' ir/schedules.c 's/return epochs > 0 \? epochs : /return false ? epochs : /' -- reference/methods_f64 beta_darts
mutant 'further clauses draw the same numbers' frontend/builtin_method.c 's/place->clause > 1/false/' -- cli/methods
mutant 'dampening the first time too' ir/run_scalars.def 's/r->updates \? 1.0 - r->optimizer->dampening : 1.0/1.0 - r->optimizer->dampening/' -- cli/optimizers prepare test_trainings
mutant 'mixed by half' runtime/data/mixing.c 's/return \(1 \+ turn \/.*/return 0.5;/' -- cli/mixing test_mixup
mutant 'mixed images with labels of their own' runtime/data/mixing.c 's/add_number\(b->targets, b->f64, i \* classes \+ other/add_number(b->targets, b->f64, i * classes + own + 0 * other/' -- cli/mixing test_mixup
mutant 'a box that leaves the drawn share' runtime/data/mixing.c 's/m.share = 1 - .*/m.share = share;/' -- cli/mixing test_cutmix
mutant 'every batch mixed alike' runtime/data/mixing.c 's/epoch, batch, i\)/epoch, 0 * batch, i)/' -- cli/mixing test_mixup
mutant 'mixed test images' runtime/loops/train_setup.c 's/o.mix = \(MixOptions\)\{0\}, //' -- cli/mixing test_mixup
mutant 'choices of doubles read as floats' runtime/device/backend_cuda.c 's/precision == PRECISION_f64/precision == PRECISION_bf16/' -- simt/chosen
mutant 'dropped skip connections that do not grow' genotypes/methods.nd 's|else x\) / \(1 - probability\)|else x)|' -- cli/stages test_dropout
mutant 'dropout that does not begin anew' genotypes/methods.nd 's/geometric\(rate \* exp\(0.2 \* frozen\)/geometric(rate/' -- cli/stages test_dropout
mutant 'a stage with the lightest candidates' passes/derive.c 's/before \+= weights\[k\] > weights\[i\]/before += weights[k] < weights[i]/' -- cli/stages test_stages
mutant 'a stage that searches everything' frontend/experiment.c 's/l->is_recipe \&\& search \? text_space\(l\)/false ? text_space(l)/' -- cli/stages test_stages
mutant 'averages that begin as zeros' passes/update.c 's/update_binary\(u, OP_mul, first, old\)/update_binary(u, OP_mul, ir_constant(\&u->b, 0), old)/' -- reference/training
mutant 'averages without a warm-up' runtime/driver/step.c 's/train.ema_warm_up \? /train.ema_warm_up \&\& false ? /' -- reference/training
mutant 'averages that are not saved' runtime/loops/train_result.c 's/!average_exchange\(l->program, error\) \|\| //' -- reference/training
mutant 'amsgrad that forgets' passes/optimizer_adam.c 's/update_binary\(u, OP_max, most, v\)/v/' -- cli/optimizers prepare test_trainings
mutant 'RMSprop: eps under the root' passes/optimizer_rmsprop.c 's/update_binary\(u, OP_add, root, ir_constant\(\&u->b, s->eps\)\)/root/' -- cli/optimizers prepare test_trainings
mutant 'one cycle: the peak a tick late' ir/schedules.c 's/s->numbers\[3\] \* whole - tick;/s->numbers[3] * whole;/' -- reference/training
mutant 'warm restarts of one length' ir/schedules.c 's/period \*= times;//' -- reference/training
mutant 'a momentum without its schedule' runtime/driver/step.c 's/return text \&\& schedule_parse/return false \&\& schedule_parse/' -- reference/training
mutant 'DARTS-: fades from the first epoch' genotypes/methods.nd 's/if now < start then before else after/after/' -- reference/training
mutant 'S1: two edges exchanged' genotypes/robust_darts.nd 's/normal\(0, 2\) = \[skip_connect, dil_conv_3x3\]/normal(0, 2) = [skip_connect, dil_conv_5x5]/' -- reference/spaces_f64 space/s1
mutant 'S3: without none' genotypes/robust_darts.nd 's/\[none, skip_connect, sep_conv_3x3\]/[skip_connect, none, sep_conv_3x3]/' -- reference/spaces_f64 space/s3
mutant 'S4: noise that is added' genotypes/robust_darts.nd 's/return normal_like\((.*)\) \}/return \1 + normal_like(\1) }/' -- reference/spaces_f64 space/s4
mutant 'NAS-Bench-201: convolutions without a bias' genotypes/nas_bench_201.nd 's/conv_bias = true, H/conv_bias = false, H/' -- reference/nas_bench_201
mutant 'NAS-Bench-201: residual blocks as the supernet' genotypes/nas_bench_201.nd 's/affine, conv_bias = true, false/conv_bias = false/' -- reference/spaces_f64 nb201/softmax_no_bias
mutant 'NAS-Bench-201: edges called by where they begin' genotypes/nas_bench_201.nd 's/edges\.\{to\}<-\{from\}/edges.{from}<-{to}/' -- reference/nas_bench_201
mutant 'weights first, with the draws of seconds' runtime/driver/step.c 's/weights_first\(settings\) \? 2 : 1/weights_first(settings) ? 1 : 1/' -- unit/runtime_step
mutant 'alphas first, always' runtime/driver/step.c 's/return settings \&\& str_equal\(settings->search.first, "weights"\)/return settings \&\& false/' -- reference/spaces_f64 weights_first
mutant 'a norm of the weights, always' passes/differentiate.c 's/str_equal\(ctx->settings.search.clip_over, "all"\)/false/' -- reference/spaces_f64 weights_first
mutant "Nesterov's momentum without the look ahead" passes/optimizer_sgd.c 's/u->settings->nesterov \? /false ? /' -- reference/spaces_f64 weights_first
mutant 'edges by the softmax of any method' frontend/method.c 's/note_weights\(l, clause, \&alphas->type\);/;/' -- reference/derive_methods
mutant 'FairDARTS: without a threshold' passes/derive.c 's/keep->has_threshold \&\&/false \&\&/' -- reference/derive_methods
mutant 'NAS-Bench-201: edges by weight' passes/derive.c 's/if \(per_node > 0\)/if (true)/' -- reference/derive_methods
mutant 'the heaviest of many skips goes' passes/derive.c 's/edge->weight <= lightest->weight/edge->weight >= lightest->weight/' -- unit/passes_derive
mutant 'Hessian: half of a difference' runtime/loops/hessian.c 's/\(2 \* part\)/part/' -- reference/hessian_f64
mutant 'Hessian: statistics stay as the gradients left them' runtime/loops/hessian.c 's/info->kind == PARAM_alpha \|\| info->kind == PARAM_statistic/info->kind == PARAM_alpha/' -- cli/eigenvalue
mutant 'early stop: a window too short' runtime/loops/early_stop.c 's/last \+ 1 - window : 0/last + 2 - window : 0/' -- unit/runtime_early_stop
mutant 'early stop: the genotype at hand' runtime/loops/search.c 's/m->genotype_of, m->epoch/m->epoch, m->epoch/' -- cli/eigenvalue
mutant 'a run that its observer cannot stop' runtime/loops/loop_signal.c 's/watching->stop\(watching->context\)/false/' -- python/package prepare test_runs
mutant 'library takes the first batch only' runtime/driver/predict.c 's/first < images; first \+= batch/first < 1; first += batch/' -- cli/library
mutant 'cost of one edge only' runtime/report/report_cost.c 's/row->macs \+= count_macs/row->macs = count_macs/' -- cli/report prepare test_search
mutant 'ranks count what is as good' runtime/report/bench_table.c 's/accuracies\[set\] > row->accuracies\[set\];/accuracies[set] >= row->accuracies[set];/' -- unit/runtime_bench_table
mutant 'cells return all states' runtime/report/cells_read.c 's/count == 1 \&\& graph->node_count > 1/false/' -- golden/ndartsc/cells

mutant 'ranks: draws by the number on this rank' runtime/device/executor.c 's/x->of_images.image_base \+= /x->of_images.image_base += 0 * /' -- cli/ranks test_search
mutant 'ranks: what is computed once draws by rank' runtime/device/executor.c 's/.first = 1, .run = x->run, .bands/.first = 1, .run = \&x->of_images, .bands/' -- cli/ranks test_only_the_chosen_run
mutant 'ranks: chunks as if the rank were alone' runtime/device/executor.c 's/return x->share \? rt/return 0 ? rt/' -- cli/ranks test_training_and_evaluation
mutant 'objective: all edges count whole' passes/objective.c 's/\? \(double\)space->keep \/ \(double\)of_node : 1/? 1 : 1/' -- cli/objective test_expected_macs
mutant 'objective: what is on no edge is free' passes/objective.c 's/o->unit \* o->fixed\(ctx, b->graph\)/0/' -- cli/objective test_latency
mutant 'objective: a pull below the target' passes/objective.c 's/ratio = rewrite_binary\(b, OP_max, above, ir_constant\(b, 0\)\)/ratio = above/' -- cli/objective test_gradient
mutant 'objective: a table of another batch' runtime/driver/cost_attach.c 's/t.batch == batch \|\|/true ||/' -- cli/objective
mutant 'ranks: the mean over the own images' codegen/stages/stage_scalar.c 's/alone = b->program->options->ranks <= 1/alone = true/' -- cli/ranks test_search
mutant 'ranks: own statistics have gradients of all' passes/gradients.c 's/x, own \? 2 : 1, attrs/x, own ? 1 : 1, attrs/' -- cli/ranks test_local_batch_norm
mutant 'ranks: running statistics of own images' passes/expand_norm.c 's/m = expand_moments\(e, x, x->type.rank - 1, false\)/m = expand_moments(e, x, x->type.rank - 1, is_local(e->ctx))/' -- cli/ranks test_local_batch_norm
mutant 'ranks: a seed of another rank' runtime/loops/train_run.c 's/all\[i % ranks->size \* count \+ i\]/all[i]/' -- cli/ranks test_seeds
mutant 'ranks on GPUs: rows at the beginning' runtime/device/cuda_exchange.c 's/ranks->size \* b->share->ranks->rank : 0/ranks->size * 0 : 0/' -- simt/ranks
mutant 'ranks: parameters that differ' runtime/loops/loop_checkpoint.c 's/\(!l->options.ranks \|\| compare_ranks\(l, error\)\)/true/' -- cli/ranks test_a_rank_computes_wrongly
mutant 'ranks: a signal to one is not told' runtime/loops/loop_signal.c 's/asked \? /0 ? /' -- cli/ranks test_interrupted
mutant 'drafts are taken for finished functions' runtime/device/objects.c 's/if \(ok \&\& !work->draft\)/if (ok)/' -- unit/runtime_objects
mutant 'the program stays with its draft' runtime/driver/compile.c 's/p->better = p->backend->find\(.*;/p->better = NULL;/' -- cli/drafts test_better_code_takes_over
mutant 'its compiling goes on behind the program' runtime/driver/child.c 's/kill\(child->process, SIGKILL\);/;/' -- cli/drafts test_ended_before_it_is_there
mutant 'costs are of the file they were measured in' runtime/driver/cost_attach.c 's/part.name = "cost";//' -- cli/cost test_card
mutant 'NEON: products are subtracted' codegen/c/prelude_c.c 's/fmla/fmls/' -- cli/standalone
mutant 'numbers below zero' base/format.c 's/value < 0 \? -\(uint64_t\)value : \(uint64_t\)value/(uint64_t)value/' -- unit/base_format

echo "$caught caught, ${#survived[@]} survived, ${#broken[@]} errors"
[ ${#survived[@]} -eq 0 ] && [ ${#broken[@]} -eq 0 ]
