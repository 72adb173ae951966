/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processors: how many, of which kind, and the NUMA nodes that they are in.
 */
#include "guest/read.h"

#include <string.h>

#define CPUS_MAX 4096u
#define NODES_MAX 8u

static void read_count(GuestReader *r)
{
    GuestSettings *s = r->config->settings;
    uint64_t sockets = 1;
    uint64_t cores = 1;
    uint64_t vcpus = 0;

    /* Of both the latter counts; the former is how it was called once. */
    if (!guest_settings_look(s, "sockets")) {
        guest_settings_take_number(s, "smp", 1, CPUS_MAX, &sockets);
    }
    guest_settings_take_number(s, "sockets", 1, CPUS_MAX, &sockets);
    guest_settings_take_number(s, "cores", 1, CPUS_MAX / sockets, &cores);
    guest_settings_take_number(s, "vcpus", 0, sockets * cores, &vcpus);
    r->guest->sockets = sockets;
    r->guest->cores = cores;
    r->guest->vcpus = vcpus > 0 ? vcpus : sockets * cores;
}

/* Proxmox VE's own models: one that QEMU has, and flags. */
static const struct {
    const char *name;
    const char *flags;
} models[] = {
    { "x86-64-v2", "popcnt pni sse4.1 sse4.2 ssse3" },
    { "x86-64-v2-AES", "aes popcnt pni sse4.1 sse4.2 ssse3" },
    { "x86-64-v3", "aes popcnt pni sse4.1 sse4.2 ssse3 avx avx2 bmi1 bmi2 f16c "
      "fma abm movbe xsave" },
    { "x86-64-v4", "aes popcnt pni sse4.1 sse4.2 ssse3 avx avx2 bmi1 bmi2 f16c "
      "fma abm movbe xsave avx512f avx512bw avx512cd avx512dq avx512vl" },
    /* What it adds to these. */
    { "kvm64", "lahf_lm sep" },
    { "kvm32", "sep" },
};

static void add_flag(Guest *guest, const char *name, bool on)
{
    GuestFlag flag = { .name = g_strdup(name), .on = on };

    for (guint i = 0; i < guest->cpu_flags->len; i++) {
        GuestFlag *other = &g_array_index(guest->cpu_flags, GuestFlag, i);

        if (g_str_equal(other->name, name)) {
            other->on = on;
            g_free(flag.name);
            return;
        }
    }
    g_array_append_val(guest->cpu_flags, flag);
}

/* MODEL as QEMU knows it. */
static const char *add_model(Guest *guest, const char *model)
{
    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        g_auto(GStrv) flags = NULL;

        if (!g_str_equal(model, models[i].name)) {
            continue;
        }
        flags = g_strsplit(models[i].flags, " ", -1);
        for (char **f = flags; *f; f++) {
            add_flag(guest, *f, true);
        }
        return g_str_has_prefix(model, "x86-64-") ? "qemu64" : model;
    }
    return model;
}

static bool is_model(const char *text)
{
    return guest_text_is_plain(text, 64, "-_.") &&
           !g_str_has_prefix(text, "custom-");
}

static void read_model(GuestReader *r, GuestSettings *s)
{
    const char *model = guest_settings_take_valid(s, "cputype", is_model);

    if (!model) {
        model = "kvm64";
        if (guest_settings_look(s, "cputype")) {
            guest_notes_add(r->notes, "changed: the CPU model '%s' is not "
                            "known here: '%s'",
                            guest_settings_take(s, "cputype"), model);
        }
    }
    if (!r->guest->kvm && g_str_equal(model, "host")) {
        guest_notes_add(r->notes, "changed: the CPU model 'host' needs KVM: "
                        "'max'");
        model = "max";
    }
    r->guest->cpu_model = g_strdup(add_model(r->guest, model));
}

/*
 * Those that Proxmox VE lets a guest have, and that are flags of the processor
 * to both printers.
 */
static bool is_flag(const char *name)
{
    static const char *const flags[] = {
        "pcid", "spec-ctrl", "ibpb", "ssbd", "virt-ssbd", "amd-ssbd",
        "amd-no-ssb", "pdpe1gb", "md-clear", "aes", NULL,
    };

    return g_strv_contains(flags, name);
}

/* "+aes;-pcid" */
static void read_flags(GuestReader *r, GuestSettings *s)
{
    const char *text = guest_settings_take(s, "flags");
    g_auto(GStrv) flags = text ? g_strsplit(text, ";", -1) : NULL;

    for (char **f = flags; f && *f; f++) {
        if ((**f == '+' || **f == '-') && is_flag(*f + 1)) {
            add_flag(r->guest, *f + 1, **f == '+');
        } else if (**f) {
            guest_notes_add(r->notes, "not translated: the CPU flag '%s'", *f);
        }
    }
}

/* One for each socket, in equal parts. */
static void add_equal_nodes(Guest *guest)
{
    unsigned count = guest->sockets;
    uint64_t part = guest->memory_mib / count;

    for (unsigned i = 0; i < count; i++) {
        GuestNode node = {
            .first_cpu = i * guest->cores,
            .last_cpu = (i + 1) * guest->cores - 1,
            .memory_mib = i + 1 < count ? part
                          : guest->memory_mib - part * (count - 1),
        };

        g_array_append_val(guest->nodes, node);
    }
}

static bool parse_cpus(const char *text, uint64_t cpus, GuestNode *node)
{
    g_auto(GStrv) ends = g_strsplit(text, "-", 2);
    uint64_t first;
    uint64_t last;

    if (!ends[0] ||
        !g_ascii_string_to_unsigned(ends[0], 10, 0, cpus - 1, &first, NULL)) {
        return false;
    }
    last = first;
    if (ends[1] && !g_ascii_string_to_unsigned(ends[1], 10, first, cpus - 1,
                                               &last, NULL)) {
        return false;
    }
    node->first_cpu = first;
    node->last_cpu = last;
    return true;
}

/* All processors, in order, and all memory; or nothing is taken. */
static bool nodes_are_whole(const Guest *guest)
{
    unsigned cpu = 0;
    uint64_t memory = 0;

    for (guint i = 0; i < guest->nodes->len; i++) {
        const GuestNode *node = &g_array_index(guest->nodes, GuestNode, i);

        if (node->first_cpu != cpu) {
            return false;
        }
        cpu = node->last_cpu + 1;
        memory += node->memory_mib;
    }
    return cpu == guest->sockets * guest->cores && memory == guest->memory_mib;
}

static bool add_node(GuestReader *r, const char *key)
{
    const char *text = guest_settings_look(r->config->settings, key);
    g_autoptr(GuestSettings) s = guest_settings_parse(text, NULL);
    const char *cpus = guest_settings_take(s, "cpus");
    GuestNode node;

    if (!cpus || !parse_cpus(cpus, (uint64_t)r->guest->sockets *
                                   r->guest->cores, &node) ||
        !guest_settings_take_number(s, "memory", 1, r->guest->memory_mib,
                                    &node.memory_mib)) {
        return false;
    }
    g_array_append_val(r->guest->nodes, node);
    guest_settings_take(r->config->settings, key);
    guest_read_rest(r, key, s);
    return true;
}

static void read_nodes(GuestReader *r)
{
    GuestSettings *s = r->config->settings;
    Guest *guest = r->guest;
    bool numa = false;
    bool ok = true;

    guest_settings_take_flag(s, "numa", &numa);
    if (!numa) {
        return;
    }
    for (unsigned i = 0; i < NODES_MAX; i++) {
        g_autofree char *key = g_strdup_printf("numa%u", i);

        if (guest_settings_look(s, key)) {
            ok = add_node(r, key) && ok;
        }
    }
    if (ok && guest->nodes->len == 0 && guest->sockets <= NODES_MAX &&
        guest->memory_mib >= guest->sockets) {
        add_equal_nodes(guest);
    } else if (!ok || !nodes_are_whole(guest)) {
        g_array_set_size(guest->nodes, 0);
        guest_notes_add(r->notes, "not translated: the NUMA nodes: they are not "
                        "the guest's processors, in order, and its memory");
    }
}

void guest_read_cpu(GuestReader *r)
{
    const char *text = guest_settings_take(r->config->settings, "cpu");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "",
                                                      "cputype");

    read_count(r);
    read_model(r, s);
    read_flags(r, s);
    guest_settings_take_flag(s, "hidden", &r->guest->cpu_hidden);
    guest_read_rest(r, "cpu", s);
    read_nodes(r);
}
