/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every question is asked in a thread of its own, and the caller waits for that
 * as long as it likes.  A question that was given up is left to its thread,
 * with all that belongs to it.
 */
#include "source/libvirt-guest.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "backup/error.h"
#include "io/io.h"
#include "source/libvirt-api.h"

/* How often a signal is looked for. */
#define SLICE_US (50 * 1000)
/* So long is a libvirtd waited for that is gone; other threads ask again. */
#define RECONNECT_SECONDS 10
#define RECONNECT_PAUSE_US (200 * 1000)
/* A farewell that libvirtd does not answer is not waited for. */
#define CLOSE_SECONDS 2
#define THREAD_TRIES 20
#define THREAD_PAUSE_US (100 * 1000)
/* For threads that no signal ends. */
#define OTHERS_SECONDS 10

typedef struct Question Question;
typedef bool AskFunc(Question *question);

struct Question {
    /* Set before it is asked; owned. */
    const LibvirtApi *api;
    AskFunc *ask;
    virConnectPtr connection;   /* NULL when it is to be opened */
    virDomainPtr domain;
    char *uri;
    char *text;
    unsigned flags;

    /* Set by the thread that asks, before it has ended. */
    bool ok;
    char *answer;               /* owned */
    int64_t number;
    unsigned long version;      /* of QEMU; 0: not told */
    char *failure;              /* owned */
    bool lost;                  /* the connection */
    bool reached;               /* a new connection was made */
    virConnectPtr opened;       /* it, and in it */
    virDomainPtr found;         /* the guest; both owned */

    GMutex lock;
    GCond changed;
    bool ended;                 /* protected by lock */
    unsigned users;             /* protected by lock: who may look at it */
};

struct LibvirtGuest {
    /* Set at creation, never changed. */
    const LibvirtApi *api;
    char *uri;                  /* NULL: the default */
    GThread *owner;
    char *uuid;
    int id;
    unsigned long version;
    bool system;

    /* Used by the owner alone. */
    int64_t deadline_us;        /* 0: none */
    Question *begin;            /* one to start a backup that was given up */

    /* Protected by lock. */
    GMutex lock;
    virConnectPtr connection;   /* NULL: lost */
    virDomainPtr domain;
};

/* Questions */

static void drop_opened(Question *q)
{
    if (q->found) {
        q->api->virDomainFree(q->found);
    }
    if (q->opened) {
        q->api->virConnectClose(q->opened);
    }
    q->found = NULL;
    q->opened = NULL;
}

static void question_unref(Question *q)
{
    unsigned users;

    g_mutex_lock(&q->lock);
    users = --q->users;
    g_mutex_unlock(&q->lock);
    if (users > 0) {
        return;
    }
    drop_opened(q);
    g_mutex_clear(&q->lock);
    g_cond_clear(&q->changed);
    g_free(q->uri);
    g_free(q->text);
    g_free(q->answer);
    g_free(q->failure);
    g_free(q);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Question, question_unref)

/* What the question itself holds of libvirt's goes before the answer comes. */
static void *run_question(void *opaque)
{
    Question *q = opaque;

    q->ok = q->ask(q);
    if (!q->ok && !q->failure) {
        q->failure = g_strdup(q->api->virGetLastErrorMessage());
    }
    q->lost = !q->ok && q->connection &&
              q->api->virConnectIsAlive(q->connection) != 1;
    if (!q->ok) {
        drop_opened(q);
    }
    if (q->domain) {
        q->api->virDomainFree(q->domain);
    }
    if (q->connection) {
        q->api->virConnectClose(q->connection);
    }
    g_mutex_lock(&q->lock);
    q->ended = true;
    g_cond_broadcast(&q->changed);
    g_mutex_unlock(&q->lock);
    question_unref(q);
    return NULL;
}

/*
 * Others may have taken all threads for a moment, and the question may be what
 * lets the guest go on.
 */
static GThread *start_thread(Question *q, GError **error)
{
    GThread *thread = NULL;

    for (int i = 0; !thread && i <= THREAD_TRIES; i++) {
        if (i > 0) {
            g_usleep(THREAD_PAUSE_US);
        }
        g_clear_error(error);
        thread = g_thread_try_new("libvirt", run_question, q, error);
    }
    return thread;
}

/* Takes over the references to CONNECTION and DOMAIN. */
static Question *ask(const LibvirtGuest *g, AskFunc *func,
                     virConnectPtr connection, virDomainPtr domain,
                     const char *text, unsigned flags)
{
    Question *q = g_new0(Question, 1);
    g_autoptr(GError) error = NULL;
    GThread *thread;
    sigset_t all, old;

    q->api = g->api;
    q->ask = func;
    q->uri = g_strdup(g->uri);
    q->connection = connection;
    q->domain = domain;
    q->text = g_strdup(text);
    q->flags = flags;
    q->users = 2;
    g_mutex_init(&q->lock);
    g_cond_init(&q->changed);
    /* Signals are for the thread that can deal with them. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    thread = start_thread(q, &error);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (thread) {
        g_thread_unref(thread);
    } else {
        /* The references stay: who drops the last one may wait for libvirtd. */
        q->failure = g_strdup_printf("cannot start a thread: %s",
                                     error->message);
        q->users = 1;
        q->ended = true;
    }
    return q;
}

static bool is_late(int64_t until_us)
{
    return until_us > 0 && g_get_monotonic_time() >= until_us;
}

/* False: its end was not waited for. */
static bool await(Question *q, bool signals, int64_t until_us, GError **error)
{
    bool ended, late = false, interrupted = false;

    g_mutex_lock(&q->lock);
    while (!(ended = q->ended) && !late && !interrupted) {
        g_cond_wait_until(&q->changed, &q->lock,
                          g_get_monotonic_time() + SLICE_US);
        interrupted = signals && io_interrupted(NULL);
        late = is_late(until_us);
    }
    g_mutex_unlock(&q->lock);
    if (ended) {
        return true;
    }
    if (interrupted) {
        (void)io_interrupted(error);
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "libvirt has not answered in time");
    }
    return false;
}

static bool await_well(Question *q, bool signals, int64_t until_us,
                       GError **error)
{
    if (!await(q, signals, until_us, error)) {
        return false;
    }
    if (!q->ok) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s",
                    q->failure);
    }
    return q->ok;
}

/* The connection */


/* text: the guest's name or UUID. */
static bool ask_open(Question *q)
{
    const LibvirtApi *api = q->api;
    char uuid[VIR_UUID_STRING_BUFLEN];
    const char *type;

    q->opened = api->virConnectOpen(q->uri);
    if (!q->opened) {
        return false;
    }
    q->reached = true;
    type = api->virConnectGetType(q->opened);
    if (g_strcmp0(type, "QEMU") != 0) {
        q->failure = g_strdup_printf("it is one of %s, and not of QEMU",
                                     type ? type : "no known kind");
        return false;
    }
    q->found = api->virDomainLookupByUUIDString(q->opened, q->text);
    if (!q->found) {
        q->found = api->virDomainLookupByName(q->opened, q->text);
    }
    if (!q->found || api->virDomainGetUUIDString(q->found, uuid) < 0) {
        return false;
    }
    q->answer = g_strdup(uuid);
    q->number = (int)api->virDomainGetID(q->found);
    (void)api->virConnectGetVersion(q->opened, &q->version);
    return true;
}

/*
 * Opens a connection if there is none, and gives references to it and to the
 * guest.
 */
static bool connect_guest(LibvirtGuest *g, bool signals, int64_t until_us,
                          virConnectPtr *connection, virDomainPtr *domain,
                          GError **error)
{
    g_autoptr(Question) q = NULL;
    bool there;

    g_mutex_lock(&g->lock);
    there = g->connection != NULL;
    g_mutex_unlock(&g->lock);
    if (!there) {
        q = ask(g, ask_open, NULL, NULL, g->uuid, 0);
        if (!await_well(q, signals, until_us, error)) {
            return false;
        }
    }
    g_mutex_lock(&g->lock);
    if (!g->connection && q) {
        g->connection = g_steal_pointer(&q->opened);
        g->domain = g_steal_pointer(&q->found);
    }
    *connection = g->connection;
    *domain = g->domain;
    if (g->connection) {
        g->api->virConnectRef(g->connection);
        g->api->virDomainRef(g->domain);
    }
    g_mutex_unlock(&g->lock);
    if (!*connection) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the connection to libvirt is lost");
    }
    return *connection != NULL;
}

static bool ask_farewell(Question *q)
{
    (void)q;
    return true;
}

/* As the last references go, libvirtd is told, in a thread of its own. */
static void disconnect(LibvirtGuest *g, virConnectPtr old)
{
    virConnectPtr connection = NULL;
    virDomainPtr domain = NULL;

    g_mutex_lock(&g->lock);
    if (g->connection == old) {
        connection = g_steal_pointer(&g->connection);
        domain = g_steal_pointer(&g->domain);
    }
    g_mutex_unlock(&g->lock);
    if (connection) {
        g_autoptr(Question) q = ask(g, ask_farewell, connection, domain, NULL,
                                    0);

        (void)await(q, false, g_get_monotonic_time() +
                    CLOSE_SECONDS * G_USEC_PER_SEC, NULL);
    }
}

/* How a question is asked. */
typedef struct Manner {
    AskFunc *ask;
    const char *text;
    unsigned flags;
    unsigned seconds;           /* 0: any */
    bool once;                  /* not again, once it may have been heard */
    bool own_time;              /* the owner's deadline is not for it */
    Question **given_up;        /* NULL: nobody needs its end */
} Manner;

static int64_t limit_us(const LibvirtGuest *g, const Manner *m, bool owner)
{
    unsigned seconds = m->seconds > 0 || owner ? m->seconds : OTHERS_SECONDS;
    int64_t until_us = seconds > 0 ? g_get_monotonic_time() +
                       seconds * G_USEC_PER_SEC : 0;

    if (owner && !m->own_time && g->deadline_us > 0 &&
        (until_us == 0 || g->deadline_us < until_us)) {
        return g->deadline_us;
    }
    return until_us;
}

/* One try.  *lost: the connection is, so there may be another one. */
static Question *try_question(LibvirtGuest *g, const Manner *m, bool owner,
                              int64_t until_us, bool *lost, GError **error)
{
    virConnectPtr connection;
    virDomainPtr domain;
    g_autoptr(Question) q = NULL;
    bool ended;

    *lost = true;
    if (!connect_guest(g, owner, until_us, &connection, &domain, error)) {
        return NULL;
    }
    q = ask(g, m->ask, connection, domain, m->text, m->flags);
    if (await_well(q, owner, until_us, error)) {
        return g_steal_pointer(&q);
    }
    g_mutex_lock(&q->lock);
    ended = q->ended;
    *lost = ended && q->lost;
    g_mutex_unlock(&q->lock);
    if (*lost) {
        disconnect(g, connection);
        *lost = !m->once;
    } else if (!ended && m->given_up) {
        *m->given_up = g_steal_pointer(&q);
    }
    return NULL;
}

/* The question, with its answer; NULL on an error. */
static Question *question(LibvirtGuest *g, const Manner *m, GError **error)
{
    bool owner = g_thread_self() == g->owner;
    int64_t until_us = limit_us(g, m, owner);
    int64_t again_until_us = g_get_monotonic_time() +
                             (owner ? RECONNECT_SECONDS * G_USEC_PER_SEC : 0);

    for (;;) {
        g_autoptr(GError) local = NULL;
        bool lost;
        Question *q = try_question(g, m, owner, until_us, &lost, &local);

        if (q) {
            return q;
        }
        if (!lost || is_late(until_us) || is_late(again_until_us) ||
            (owner && io_interrupted(NULL))) {
            g_propagate_error(error, g_steal_pointer(&local));
            return NULL;
        }
        g_usleep(RECONNECT_PAUSE_US);
    }
}

/* The guest */

/* URI: as given, or as libvirt tells it. */
static bool verify_local(const char *uri, GError **error)
{
    const char *scheme_end = uri ? strstr(uri, "://") : NULL;
    const char *plus;

    if (!scheme_end) {
        return true;            /* an alias, or nonsense: libvirt knows */
    }
    plus = memchr(uri, '+', scheme_end - uri);
    if ((plus && !g_str_has_prefix(plus, "+unix:")) ||
        (scheme_end[3] != '/' && scheme_end[3] != '\0')) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' is the libvirt of another host, whose disks can't be "
                    "reached from here: run vma-dump there (with --to, or "
                    "through ssh)", uri);
        return false;
    }
    return true;
}

static bool learn(LibvirtGuest *g, const char *name, GError **error)
{
    g_autoptr(Question) q = ask(g, ask_open, NULL, NULL, name, 0);
    g_autofree char *uri = NULL;

    if (!await_well(q, true, 0, error)) {
        if (!io_interrupted(NULL)) {
            g_prefix_error(error, q->reached ? "cannot back up '%s': "
                           : "cannot connect to libvirt for guest '%s': ",
                           name);
        }
        return false;
    }
    uri = q->api->virConnectGetURI(q->opened);
    if (!verify_local(uri, error)) {
        return false;
    }
    g->connection = g_steal_pointer(&q->opened);
    g->domain = g_steal_pointer(&q->found);
    g->uuid = g_steal_pointer(&q->answer);
    g->id = q->number;
    g->version = q->version;
    g->system = uri && g_str_has_suffix(uri, "/system");
    return true;
}

LibvirtGuest *libvirt_guest_open(const char *uri, const char *name,
                                 GError **error)
{
    g_autoptr(LibvirtGuest) g = NULL;
    const LibvirtApi *api;

    if (!verify_local(uri, error)) {
        return NULL;
    }
    api = libvirt_api_load(error);
    if (!api) {
        return NULL;
    }
    g = g_new0(LibvirtGuest, 1);
    g->api = api;
    g->uri = g_strdup(uri);
    g->owner = g_thread_self();
    g_mutex_init(&g->lock);
    return learn(g, name, error) ? g_steal_pointer(&g) : NULL;
}

void libvirt_guest_free(LibvirtGuest *g)
{
    if (g) {
        disconnect(g, g->connection);
        g_clear_pointer(&g->begin, question_unref);
        g_mutex_clear(&g->lock);
        g_free(g->uri);
        g_free(g->uuid);
        g_free(g);
    }
}

const char *libvirt_guest_uuid(const LibvirtGuest *g)
{
    return g->uuid;
}

int libvirt_guest_id(const LibvirtGuest *g)
{
    return g->id;
}

unsigned libvirt_guest_qemu_version(const LibvirtGuest *g)
{
    return g->version / 1000000 * 100 + g->version / 1000 % 1000;
}

bool libvirt_guest_is_system(const LibvirtGuest *g)
{
    return g->system;
}

void libvirt_guest_set_deadline(LibvirtGuest *g, unsigned seconds)
{
    g->deadline_us = seconds == 0 ? 0 : g_get_monotonic_time() +
                     seconds * G_USEC_PER_SEC;
}

/* What is asked of it */

static bool ask_state(Question *q)
{
    int state, reason;

    if (q->api->virDomainGetState(q->domain, &state, &reason, 0) < 0) {
        q->number = LIBVIRT_OFF;
        return q->api->virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
    }
    q->number = state == VIR_DOMAIN_SHUTOFF || state == VIR_DOMAIN_CRASHED
                ? LIBVIRT_OFF
                : state == VIR_DOMAIN_PAUSED &&
                  reason == VIR_DOMAIN_PAUSED_IOERROR
                ? LIBVIRT_IO_ERROR : LIBVIRT_ON;
    return true;
}

bool libvirt_guest_state(LibvirtGuest *g, LibvirtState *state, GError **error)
{
    const Manner manner = { .ask = ask_state };
    g_autoptr(Question) q = question(g, &manner, error);

    if (q) {
        *state = q->number;
    }
    return q != NULL;
}

static bool ask_xml(Question *q)
{
    q->answer = q->api->virDomainGetXMLDesc(q->domain, q->flags);
    return q->answer != NULL;
}

char *libvirt_guest_xml(LibvirtGuest *g, bool inactive, GError **error)
{
    const Manner manner = {
        .ask = ask_xml, .flags = inactive ? VIR_DOMAIN_XML_INACTIVE : 0,
    };
    g_autoptr(Question) q = question(g, &manner, error);

    return q ? g_steal_pointer(&q->answer) : NULL;
}

static bool ask_disk(Question *q)
{
    virDomainBlockInfo info;

    if (q->api->virDomainGetBlockInfo(q->domain, q->text, &info, 0) < 0) {
        return false;
    }
    q->number = MIN(info.capacity, (unsigned long long)G_MAXINT64);
    return true;
}

bool libvirt_guest_disk_bytes(LibvirtGuest *g, const char *target,
                              uint64_t *bytes, GError **error)
{
    const Manner manner = { .ask = ask_disk, .text = target };
    g_autoptr(Question) q = question(g, &manner, error);

    if (q) {
        *bytes = q->number;
    }
    return q != NULL;
}

static bool ask_begin(Question *q)
{
    return q->api->virDomainBackupBegin(
        q->domain, q->text, NULL, VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL) == 0;
}

bool libvirt_guest_begin(LibvirtGuest *g, const char *xml, GError **error)
{
    const Manner manner = {
        .ask = ask_begin, .text = xml, .once = true, .given_up = &g->begin,
    };
    g_autoptr(Question) q = question(g, &manner, error);

    return q != NULL;
}

static bool ask_backup(Question *q)
{
    int code;

    q->answer = q->api->virDomainBackupGetXMLDesc(q->domain, 0);
    if (q->answer) {
        return true;
    }
    code = q->api->virGetLastErrorCode();
    return code == VIR_ERR_NO_DOMAIN_BACKUP || code == VIR_ERR_NO_DOMAIN;
}

/* What was given up may only now lead to one. */
bool libvirt_guest_backup(LibvirtGuest *g, char **xml, GError **error)
{
    const Manner manner = { .ask = ask_backup };
    g_autoptr(Question) q = NULL;

    *xml = NULL;
    if (g_thread_self() == g->owner && g->begin) {
        if (!await(g->begin, true, limit_us(g, &manner, true), error)) {
            return false;
        }
        g_clear_pointer(&g->begin, question_unref);
    }
    q = question(g, &manner, error);
    if (q) {
        *xml = g_steal_pointer(&q->answer);
    }
    return q != NULL;
}

static bool ask_abort(Question *q)
{
    return q->api->virDomainAbortJob(q->domain) == 0;
}

bool libvirt_guest_abort(LibvirtGuest *g, GError **error)
{
    const Manner manner = { .ask = ask_abort };
    g_autoptr(Question) q = question(g, &manner, error);

    return q != NULL;
}

static bool ask_resume(Question *q)
{
    return q->api->virDomainResume(q->domain) == 0;
}

bool libvirt_guest_resume(LibvirtGuest *g, GError **error)
{
    const Manner manner = { .ask = ask_resume };
    g_autoptr(Question) q = question(g, &manner, error);

    return q != NULL;
}

/* The agent: what it says of the time is not looked at. */

static bool ask_time(Question *q)
{
    long long seconds;
    unsigned nseconds;

    return q->api->virDomainGetTime(q->domain, &seconds, &nseconds, 0) == 0;
}

bool libvirt_guest_ping(LibvirtGuest *g, unsigned seconds, GError **error)
{
    const Manner manner = { .ask = ask_time, .seconds = seconds };
    g_autoptr(Question) q = question(g, &manner, error);

    return q != NULL;
}

static bool ask_freeze(Question *q)
{
    q->number = q->api->virDomainFSFreeze(q->domain, NULL, 0, 0);
    return q->number >= 0;
}

bool libvirt_guest_freeze(LibvirtGuest *g, unsigned seconds, int64_t *count,
                          GError **error)
{
    const Manner manner = {
        .ask = ask_freeze, .seconds = seconds, .once = true,
    };
    g_autoptr(Question) q = question(g, &manner, error);

    if (q) {
        *count = q->number;
    }
    return q != NULL;
}

static bool ask_thaw(Question *q)
{
    return q->api->virDomainFSThaw(q->domain, NULL, 0, 0) >= 0;
}

bool libvirt_guest_thaw(LibvirtGuest *g, unsigned seconds, GError **error)
{
    const Manner manner = {
        .ask = ask_thaw, .seconds = seconds, .own_time = true,
    };
    g_autoptr(Question) q = question(g, &manner, error);

    return q != NULL;
}
