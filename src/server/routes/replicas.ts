import { numberOf, ok, type Route } from './route.js'

const conflictsAtOnce = 100

/** Replicas of tables in other regions. They are made over the AWS path, with UpdateTable. */
export const replicaRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'replicas',
    summary: 'The links of all tables to other regions.',
    answer:
      '{replicas: [{table, region, status: "CREATING", "CREATION_FAILED", "ACTIVE" or "DELETING", phase: "connecting", "filling", "following", "held", "refused", "unreachable" or "failing", lagRecords, lagSeconds, sentChanges, sentBatches, error?}], port?: where links of other regions come in}',
    run: ({ daemon }) => {
      const { replication, links } = daemon.rooms
      return ok({ replicas: replication.views(), port: links?.port })
    },
  },
  {
    method: 'GET',
    path: 'tables/{name}/replicas',
    summary: 'The links of one table, and what has come from other regions since the start.',
    answer:
      '{replicas: as of `replicas`, sources: [{table, region, applied, ignored: older or there already, conflicts, aheadMs: how far a clock that holds its link is ahead, else 0}]}',
    errors: ['NOT_FOUND'],
    run: ({ daemon, names }) => {
      const { replication, tables } = daemon.rooms
      const name = names[0] as string
      tables.replicas.shape(name)
      return ok({
        replicas: replication.views(name),
        sources: replication.sources().filter(({ table }) => table === name),
      })
    },
  },
  {
    method: 'GET',
    path: 'tables/{name}/conflicts',
    summary:
      'Writes of one table that lost against those of another region which did not know of them, the newest first. The newest `replication.conflictsMax` are kept.',
    query: { limit: `most conflicts; ${conflictsAtOnce} by default` },
    answer:
      '{count: of all that there were, conflicts: [{number, key, lost?: item or null for a deletion, lostVersion: {stamp: {ms, counter}, region}, wonVersion, isDeleted: whether a deletion has won, at}]}',
    errors: ['NOT_FOUND'],
    run: async ({ daemon, names, query }) => {
      const limit = query.has('limit') ? numberOf(query, 'limit') : conflictsAtOnce
      return ok(await daemon.rooms.tables.replicas.listConflicts(names[0] as string, limit))
    },
  },
  {
    method: 'POST',
    path: 'tables/{name}/verify',
    summary:
      'Compares one table with its replicas, by digests of ranges of key hashes. Ranges that differ are looked at again, since what is written meanwhile needs a moment.',
    answer:
      '{regions: [name], ranges: how many, items: of this region, different: [{range: first byte of the hash, regions: {NAME: {items, digest}}}]}',
    errors: ['NOT_FOUND', 'REPLICA_UNAVAILABLE'],
    run: async ({ daemon, names }) => ok(await daemon.rooms.replication.verify(names[0] as string)),
  },
]
