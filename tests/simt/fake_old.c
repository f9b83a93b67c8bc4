/* fake_old.c: a libcudart as it was before cudaLibraryLoadData, for the message that names it. */
int cudaRuntimeGetVersion(int *version) {
    *version = 12040;
    return 0;
}

#define FUNCTION(name)                                                                                                 \
    int name(void) {                                                                                                   \
        return 100;                                                                                                    \
    }
FUNCTION(cudaGetDeviceCount)
FUNCTION(cudaSetDevice)
FUNCTION(cudaDeviceGetAttribute)
FUNCTION(cudaMemGetInfo)
FUNCTION(cudaMalloc)
FUNCTION(cudaFree)
FUNCTION(cudaHostAlloc)
FUNCTION(cudaFreeHost)
FUNCTION(cudaMemsetAsync)
FUNCTION(cudaMemcpyAsync)
FUNCTION(cudaStreamCreateWithFlags)
FUNCTION(cudaStreamDestroy)
FUNCTION(cudaStreamSynchronize)
FUNCTION(cudaLaunchKernel)

const char *cudaGetErrorString(int status) {
    return status ? "an error" : "no error";
}
