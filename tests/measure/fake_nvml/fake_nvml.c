/*
 * A stand-in for NVIDIA's libnvidia-ml.so.1 with boards that live on a virtual clock.
 *
 * Functions and layouts are those that nvidia-ml-py calls, after NVIDIA's NVML API reference. Only fake_...() functions
 * move time, apart from the read cost of each call; tests script what happens when by fake_at().
 *
 * Build: cc -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 fake_nvml.c -lm
 * -DOLD_DRIVER leaves out what drivers of 2019 did not have.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef int result;
typedef struct { int index; } *device;

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7 };

/* ---- the board's settings, by name ---- */

enum { SEGMENTS = 1 << 14, MOST_BOARDS = 8, MOST_EVENTS = 64, MOST_FAULTS = 32, MOST_PROCESSES = 8 };

typedef struct {
    double boards;                        /* how many */
    double rise_s;                        /* time constant with which drawn power follows the load */
    double tick_s, stuck, scale;          /* energy counter */
    double power_tick_s, power_window_s;  /* power readings: update period, and how much of it is seen */
    double power_scale, noise;            /* noise: relative, changes with each update */
    double average_s;                     /* what an averaged reading averages over */
    double read_s;                        /* what a call takes */
    double limit_w, idle_w, busy_w;
    double reasons, mig, temperature_c;
    double no_violation_fields;
    double reset;                         /* set to 1: the counter starts again from 0 */
    double compute_pid[MOST_PROCESSES];   /* 0 is nobody */
    double graphics_pid[MOST_PROCESSES];
} settings;

#define NUMBER(name) { #name, offsetof(settings, name) }
#define LIST(name) \
    { #name "0", offsetof(settings, name) }, { #name "1", offsetof(settings, name) + sizeof(double) }, \
    { #name "2", offsetof(settings, name) + 2 * sizeof(double) }
static const struct { const char *name; size_t offset; } NAMES[] = {
    NUMBER(boards), NUMBER(rise_s), NUMBER(tick_s), NUMBER(stuck), NUMBER(scale),
    NUMBER(power_tick_s), NUMBER(power_window_s), NUMBER(power_scale), NUMBER(noise), NUMBER(average_s), NUMBER(read_s),
    NUMBER(limit_w), NUMBER(idle_w), NUMBER(busy_w), NUMBER(reasons), NUMBER(mig), NUMBER(temperature_c),
    NUMBER(no_violation_fields), NUMBER(reset), LIST(compute_pid), LIST(graphics_pid),
};

typedef struct { double at; char name[32]; double value; } event;
typedef struct { char name[64]; int code, every; double from, until; long calls; } fault;
typedef struct { double start, energy, watts; } segment; /* at its start: joules so far, and drawn power */

static settings now_set;
static double clock_s, busy_until_s, energy_j, drawn_w;
static double base_j, stuck_j, violation_s[2];
static segment history[SEGMENTS];
static long segments;
static event events[MOST_EVENTS];
static int event_count;
static fault faults[MOST_FAULTS];
static int fault_count;

static double *setting(const char *name) {
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (!strcmp(NAMES[i].name, name)) return (double *)((char *)&now_set + NAMES[i].offset);
    return NULL;
}

/* ---- energy: drawn power approaches its target exponentially, so joules have a closed form ---- */

static double grown(double watts, double target, double seconds) {
    double rise = now_set.rise_s;
    if (rise <= 0) return target * seconds;
    return target * seconds + (watts - target) * rise * (1 - exp(-seconds / rise));
}

static double approached(double watts, double target, double seconds) {
    return now_set.rise_s <= 0 ? target : target + (watts - target) * exp(-seconds / now_set.rise_s);
}

static double energy_at(double time) {
    long oldest = segments > SEGMENTS ? segments - SEGMENTS : 0;
    for (long i = segments - 1; i >= oldest; i--) {
        segment *here = &history[i % SEGMENTS];
        if (here->start > time) continue;
        /* linear within a segment: they are short beside every update period */
        double end = i == segments - 1 ? clock_s : history[(i + 1) % SEGMENTS].start;
        double after = i == segments - 1 ? energy_j : history[(i + 1) % SEGMENTS].energy;
        double share = end > here->start ? (time - here->start) / (end - here->start) : 0;
        return here->energy + share * (after - here->energy);
    }
    return history[oldest % SEGMENTS].energy;
}

static double counter_j(void) {
    return base_j + now_set.scale * energy_at(floor(clock_s / now_set.tick_s + 1e-9) * now_set.tick_s);
}

static double last_tick(double period) { return floor(clock_s / period + 1e-9) * period; }

static double mean_power(double seconds) {
    double end = last_tick(now_set.power_tick_s);
    double noise = now_set.noise * sin(1e4 * end);
    return now_set.power_scale * (1 + noise) * (energy_at(end) - energy_at(end - seconds)) / seconds;
}

static void pass(double seconds) {
    while (seconds > 1e-12) {
        double step = fmin(seconds, 0.005), busy_s = busy_until_s - clock_s;
        if (busy_s > 1e-9) step = fmin(step, busy_s);
        double target_w = busy_s > 1e-9 ? now_set.busy_w : now_set.idle_w;
        history[segments++ % SEGMENTS] = (segment){clock_s, energy_j, drawn_w};
        energy_j += grown(drawn_w, target_w, step);
        drawn_w = approached(drawn_w, target_w, step);
        if ((int)now_set.reasons & 0x04) violation_s[0] += step;
        if ((int)now_set.reasons & 0x60) violation_s[1] += step;
        clock_s += step;
        seconds -= step;
    }
}

static void happen(event *what) {
    double *place = setting(what->name), before = counter_j();
    if (!strcmp(what->name, "stuck") && what->value > 0) stuck_j = before;
    *place = what->value;
    if (!strcmp(what->name, "reset")) base_j = -now_set.scale * energy_j;
}

static void advance(double seconds) {
    double end = clock_s + seconds;
    for (;;) {
        event *next = NULL;
        for (int i = 0; i < event_count; i++)
            if (events[i].at <= end && (!next || events[i].at < next->at)) next = &events[i];
        if (!next) break;
        if (next->at > clock_s) pass(next->at - clock_s);
        happen(next);
        next->at = INFINITY;
    }
    if (end > clock_s) pass(end - clock_s);
}

/* ---- what tests call ---- */

void fake_reset(void) {
    memset(&now_set, 0, sizeof now_set);
    memset(violation_s, 0, sizeof violation_s);
    now_set.boards = 1;
    now_set.rise_s = 0.05;
    now_set.tick_s = now_set.power_tick_s = 0.1;
    now_set.power_window_s = 0.025;
    now_set.average_s = 1;
    now_set.scale = now_set.power_scale = 1;
    now_set.read_s = 2e-5;
    now_set.limit_w = 300;
    now_set.idle_w = 30;
    now_set.busy_w = 100;
    now_set.temperature_c = 50;
    segments = event_count = fault_count = 0;
    clock_s = 1000.0123;
    busy_until_s = 0;
    drawn_w = now_set.idle_w;
    energy_j = 0;
    base_j = 5000;
    pass(2.0);
}

int64_t fake_now_ns(void) { return (int64_t)llround(clock_s * 1e9); }

void fake_advance(double seconds) { advance(seconds); }

/* Work of so many seconds, done when what was launched before is; returns when it will have finished. */
double fake_launch(double seconds) {
    busy_until_s = fmax(busy_until_s, clock_s) + seconds;
    return busy_until_s;
}

int fake_set(const char *name, double value) {
    double *place = setting(name);
    if (place) *place = value;
    return place ? 0 : -1;
}

/* A setting that changes so many seconds from now. */
int fake_at(double delay_s, const char *name, double value) {
    if (event_count == MOST_EVENTS || !setting(name)) return -1;
    event *what = &events[event_count++];
    what->at = clock_s + delay_s;
    what->value = value;
    snprintf(what->name, sizeof what->name, "%s", name);
    return 0;
}

/* Makes each so-manieth call of a function fail for a while. Fields have the name "field:ID:SCOPE". */
int fake_fault(const char *name, int code, int every, double delay_s, double seconds) {
    if (fault_count == MOST_FAULTS) return -1;
    fault *one = &faults[fault_count++];
    memset(one, 0, sizeof *one);
    snprintf(one->name, sizeof one->name, "%s", name);
    one->code = code;
    one->every = every;
    one->from = clock_s + delay_s;
    one->until = one->from + seconds;
    return 0;
}

static result fault_of(const char *name) {
    result code = SUCCESS;
    for (int i = 0; i < fault_count; i++) {
        fault *one = &faults[i];
        if (strcmp(one->name, name) && strcmp(one->name, "*")) continue;
        if (clock_s < one->from || clock_s >= one->until) continue;
        if (++one->calls % one->every == 0) code = one->code;
    }
    return code;
}

#define ENTER()                                \
    do {                                       \
        advance(now_set.read_s);               \
        result code_ = fault_of(__func__);     \
        if (code_ != SUCCESS) return code_;    \
    } while (0)

/* ---- NVML ---- */

static struct { int index; } handles[MOST_BOARDS];

result nvmlInitWithFlags(unsigned flags) { (void)flags; ENTER(); return SUCCESS; }
result nvmlInit_v2(void) { ENTER(); return SUCCESS; }
result nvmlShutdown(void) { ENTER(); return SUCCESS; }

const char *nvmlErrorString(result code) {
    static char words[32];
    snprintf(words, sizeof words, "Fake error %d", code);
    return words;
}

result nvmlSystemGetDriverVersion(char *to, unsigned size) { ENTER(); snprintf(to, size, "580.65.06"); return SUCCESS; }
result nvmlSystemGetNVMLVersion(char *to, unsigned size) { ENTER(); snprintf(to, size, "13.580.65.06"); return SUCCESS; }
result nvmlDeviceGetCount_v2(unsigned *to) { ENTER(); *to = (unsigned)now_set.boards; return SUCCESS; }

result nvmlDeviceGetHandleByIndex_v2(unsigned index, device *to) {
    ENTER();
    if (index >= now_set.boards) return INVALID_ARGUMENT;
    handles[index].index = (int)index;
    *to = (device)&handles[index];
    return SUCCESS;
}

result nvmlDeviceGetUUID(device board, char *to, unsigned size) {
    ENTER();
    snprintf(to, size, "GPU-0000000%d-aaaa-bbbb-cccc-00000000000%d", board->index, board->index);
    return SUCCESS;
}

result nvmlDeviceGetName(device board, char *to, unsigned size) {
    (void)board;
    ENTER();
    snprintf(to, size, "Simulated Board");
    return SUCCESS;
}

typedef struct {
    char legacy[16];
    unsigned domain, bus, slot, id, subsystem;
    char bus_id[32];
} pci_info;

result nvmlDeviceGetPciInfo_v3(device board, pci_info *to) {
    ENTER();
    memset(to, 0, sizeof *to);
    to->bus = 0x17 + (unsigned)board->index;
    snprintf(to->bus_id, sizeof to->bus_id, "00000000:%02X:00.0", to->bus);
    return SUCCESS;
}

result nvmlDeviceGetVbiosVersion(device board, char *to, unsigned size) {
    ENTER();
    snprintf(to, size, "96.00.5E.00.0%d", board->index);
    return SUCCESS;
}

result nvmlDeviceGetMigMode(device board, unsigned *current, unsigned *pending) {
    (void)board;
    ENTER();
    *current = *pending = (unsigned)now_set.mig;
    return SUCCESS;
}

#define READING(function, value)                      \
    result function(device board, unsigned *to) {     \
        (void)board;                                  \
        ENTER();                                      \
        *to = (unsigned)(value);                      \
        return SUCCESS;                               \
    }
READING(nvmlDeviceGetPersistenceMode, 1)
READING(nvmlDeviceGetComputeMode, 0)
READING(nvmlDeviceGetEnforcedPowerLimit, now_set.limit_w * 1e3)
READING(nvmlDeviceGetPowerManagementDefaultLimit, 350e3)
READING(nvmlDeviceGetPowerUsage, mean_power(now_set.average_s) * 1e3)

#define READING_OF(function, value)                                 \
    result function(device board, unsigned which, unsigned *to) {   \
        (void)board;                                                \
        ENTER();                                                    \
        *to = (unsigned)(value);                                    \
        return SUCCESS;                                             \
    }
READING_OF(nvmlDeviceGetClockInfo, which == 1 ? 1410 : 1593)
READING_OF(nvmlDeviceGetMaxClockInfo, which == 1 ? 1980 : 2619)
READING_OF(nvmlDeviceGetTemperature, which == 0 ? now_set.temperature_c : 0)

result nvmlDeviceGetCurrentClocksThrottleReasons(device board, uint64_t *to) {
    (void)board;
    ENTER();
    *to = (uint64_t)now_set.reasons;
    return SUCCESS;
}

result nvmlDeviceGetTotalEnergyConsumption(device board, uint64_t *to) {
    (void)board;
    ENTER();
    *to = (uint64_t)llround(1e3 * (now_set.stuck > 0 ? stuck_j : counter_j()));
    return SUCCESS;
}

typedef struct { uint64_t reference_us, violation_ns; } violation;

result nvmlDeviceGetViolationStatus(device board, unsigned policy, violation *to) {
    (void)board;
    ENTER();
    if (policy > 1) return NOT_SUPPORTED;
    to->reference_us = (uint64_t)(clock_s * 1e6);
    to->violation_ns = (uint64_t)llround(violation_s[policy] * 1e9);
    return SUCCESS;
}

static result list_processes(const double *pids, size_t record, unsigned *count, void *to) {
    unsigned found = 0, room = *count;
    for (int i = 0; i < MOST_PROCESSES; i++) found += pids[i] > 0;
    *count = found;
    if (found == 0) return SUCCESS;
    if (to == NULL || room < found) return INSUFFICIENT_SIZE;
    char *place = to;
    for (int i = 0; i < MOST_PROCESSES; i++) {
        if (pids[i] <= 0) continue;
        memset(place, 0, record);
        *(unsigned *)place = (unsigned)pids[i];
        place += record;
    }
    return SUCCESS;
}

#define PROCESSES(function, pids, record)                                \
    result function(device board, unsigned *count, void *to) {           \
        (void)board;                                                     \
        ENTER();                                                         \
        return list_processes(now_set.pids, record, count, to);          \
    }

#ifdef OLD_DRIVER
PROCESSES(nvmlDeviceGetComputeRunningProcesses, compute_pid, 16)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, graphics_pid, 16)
#else
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, compute_pid, 24)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, graphics_pid, 24)

typedef struct { unsigned version, sensor; int degrees; } temperature;

result nvmlDeviceGetTemperatureV(device board, temperature *to) {
    (void)board;
    ENTER();
    if (to->version != 0x100000C) return 25;
    to->degrees = (int)now_set.temperature_c;
    return SUCCESS;
}

result nvmlDeviceGetCurrentClocksEventReasons(device board, uint64_t *to) {
    (void)board;
    ENTER();
    *to = (uint64_t)now_set.reasons;
    return SUCCESS;
}

typedef struct {
    uint32_t id, scope;
    int64_t timestamp, latency_us;
    uint32_t type;
    result code;
    union { double number; uint32_t small; uint64_t large; } value;
} field;

result nvmlDeviceGetFieldValues(device board, int count, field *values) {
    (void)board;
    ENTER();
    for (int i = 0; i < count; i++) {
        field *one = &values[i];
        char name[64];
        snprintf(name, sizeof name, "field:%u:%u", one->id, one->scope);
        one->value.large = 0;
        one->type = 1;
        one->code = fault_of(name);
        if (one->code != SUCCESS) continue;
        if (one->id == 185 && one->scope == 0) {
            one->value.small = (uint32_t)lround(1e3 * mean_power(now_set.average_s));
        } else if (one->id == 186 && one->scope == 0) {
            one->value.small = (uint32_t)lround(1e3 * mean_power(now_set.power_window_s));
        } else if ((one->id == 185 || one->id == 186) && one->scope == 1) {
            one->value.small = (uint32_t)lround(1e3 * (50 + mean_power(now_set.power_window_s)));
        } else if ((one->id == 74 || one->id == 75) && now_set.no_violation_fields <= 0) {
            one->type = 3;
            one->value.large = (uint64_t)llround(1e9 * violation_s[one->id - 74]);
        } else {
            one->code = NOT_SUPPORTED;
        }
    }
    return SUCCESS;
}
#endif
