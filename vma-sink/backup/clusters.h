/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The set of a device's clusters that have been seen, to hold "every cluster
 * exactly once".  Memory follows what is irregular and not the device's size:
 * a stretch of 4096 clusters (256 MiB) that is half seen costs 570 bytes, one of
 * which eight or fewer were seen 70.
 */
#ifndef BACKUP_CLUSTERS_H
#define BACKUP_CLUSTERS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ClusterSet ClusterSet;

/* For clusters 0 to COUNT - 1; COUNT is at most 2^32. */
ClusterSet *cluster_set_new(uint64_t count);
void cluster_set_free(ClusterSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClusterSet, cluster_set_free)

/*
 * Adds the run [FIRST, FIRST + COUNT), which must lie within the set.
 * False if one of them is in already; *duplicate is then the first such
 * cluster, and those before it have been added.
 */
bool cluster_set_add_run(ClusterSet *set, uint64_t first, uint64_t count,
                         uint64_t *duplicate);

uint64_t cluster_set_missing(const ClusterSet *set);    /* how many */
/* The first one missing; must not be called where none is. */
uint64_t cluster_set_first_missing(const ClusterSet *set);

/*
 * The first run of missing clusters at or behind FROM, as far as it goes.
 * False where none is missing from there on.
 */
bool cluster_set_next_missing(const ClusterSet *set, uint64_t from,
                              uint64_t *first, uint64_t *count);

#endif /* BACKUP_CLUSTERS_H */
