/* Plays NVIDIA's management library: 8 GPUs, or as many as FAKE_NVML_GPUS says. */
#include <stdio.h>
#include <stdlib.h>

typedef struct fake *nvmlDevice_t;
enum { SUCCESS = 0, INVALID = 2, DRIVER_NOT_LOADED = 9 };

static unsigned count(void) {
    const char *text = getenv("FAKE_NVML_GPUS");
    return text ? (unsigned)atoi(text) : 8;
}

int nvmlInit_v2(void) { return getenv("FAKE_NVML_NO_DRIVER") ? DRIVER_NOT_LOADED : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned *out) {
    *out = count();
    return SUCCESS;
}

/* A handle is the index and one, so that none is null. */
int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *out) {
    if (index >= count()) return INVALID;
    *out = (nvmlDevice_t)(size_t)(index + 1);
    return SUCCESS;
}

int nvmlDeviceGetUUID(nvmlDevice_t device, char *out, unsigned length) {
    snprintf(out, length, "GPU-00000000-0000-0000-0000-%012zu", (size_t)device - 1);
    return SUCCESS;
}

int nvmlDeviceGetName(nvmlDevice_t device, char *out, unsigned length) {
    (void)device;
    snprintf(out, length, "Fake H100");
    return SUCCESS;
}
