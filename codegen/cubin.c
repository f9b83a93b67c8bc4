/* cubin.c: a cubin is an ELF file, and so is what tests put in its place: .symtab says where a symbol lies. */
#include "codegen/cubin.h"

#include "codegen/emit.h"

#include <elf.h>
#include <string.h>

static bool inside(uint64_t offset, uint64_t size, uint64_t whole) {
    return offset <= whole && size <= whole - offset;
}

static const Elf64_Shdr *section_at(const unsigned char *file, size_t size, unsigned index) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
    if (index >= header->e_shnum || header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 != 0 ||
        !inside(header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr), size))
        return NULL;
    const Elf64_Shdr *section = (const Elf64_Shdr *)(file + header->e_shoff) + index;
    return section->sh_type == SHT_NOBITS || inside(section->sh_offset, section->sh_size, size) ? section : NULL;
}

/* The bytes of a symbol, to the end of its section. Values count from the section's beginning in a cubin, and from its
 * address in what is linked. */
static const unsigned char *symbol_bytes(const unsigned char *file, size_t size, const Elf64_Sym *symbol,
                                         size_t *available) {
    const Elf64_Shdr *section = section_at(file, size, symbol->st_shndx);
    if (!section || section->sh_type == SHT_NOBITS || symbol->st_value < section->sh_addr ||
        symbol->st_value - section->sh_addr > section->sh_size)
        return NULL;
    uint64_t at = symbol->st_value - section->sh_addr;
    *available = section->sh_size - at;
    return file + section->sh_offset + at;
}

static const unsigned char *find_in_table(const unsigned char *file, size_t size, const Elf64_Shdr *table,
                                          const char *name, size_t *available) {
    const Elf64_Shdr *strings = section_at(file, size, table->sh_link);
    if (!strings || table->sh_offset % 8 != 0)
        return NULL;
    const Elf64_Sym *symbols = (const Elf64_Sym *)(file + table->sh_offset);
    size_t length = strlen(name) + 1;
    for (uint64_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); i++) {
        if (inside(symbols[i].st_name, length, strings->sh_size) &&
            memcmp(file + strings->sh_offset + symbols[i].st_name, name, length) == 0)
            return symbol_bytes(file, size, &symbols[i], available);
    }
    return NULL;
}

const unsigned char *cubin_find(const void *cubin, size_t size, const char *name, size_t *available) {
    const unsigned char *bytes = cubin;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)bytes;
    if (size < sizeof *header || memcmp(bytes, ELFMAG, SELFMAG) != 0 || bytes[EI_CLASS] != ELFCLASS64)
        return NULL;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *table = section_at(bytes, size, i);
        const unsigned char *found =
            table && table->sh_type == SHT_SYMTAB ? find_in_table(bytes, size, table, name, available) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

/* ---- filling in ---- */

static bool fill(void *cubin, size_t size, const char *symbol, const void *bytes, size_t count) {
    size_t available = 0;
    const unsigned char *at = cubin_find(cubin, size, symbol, &available);
    if (!at || available < count)
        return false;
    memcpy((unsigned char *)cubin + (at - (const unsigned char *)cubin), bytes, count);
    return true;
}

bool cubin_fill_plan(Arena *arena, const char *json, void *cubin, size_t size) {
    size_t count;
    const unsigned char *bytes = cg_plan_bytes(arena, json, &count);
    return fill(cubin, size, "nd_plan", bytes, count);
}

enum { WEIGHTS_HEADER = 16 };

size_t cubin_weights_room(size_t weights_size) {
    return WEIGHTS_HEADER + weights_size;
}

bool cubin_fill_weights(const void *weights, size_t weights_size, void *cubin, size_t size) {
    unsigned char header[WEIGHTS_HEADER] = "ndwght\0\1";
    size_t available = 0;
    for (int i = 0; i < 8; i++)
        header[8 + i] = (unsigned char)((uint64_t)weights_size >> (8 * i));
    const unsigned char *at = cubin_find(cubin, size, "nd_weights", &available);
    if (!at || available < cubin_weights_room(weights_size) || !fill(cubin, size, "nd_weights", header, sizeof header))
        return false;
    memcpy((unsigned char *)cubin + (at - (const unsigned char *)cubin) + WEIGHTS_HEADER, weights, weights_size);
    return true;
}
