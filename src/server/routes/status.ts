import type { Daemon } from '../../daemon/index.js'
import { version } from '../../runtime/index.js'
import { ok, type Route } from './route.js'

export const statusRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'status',
    summary: 'What the daemon is and how it does; answered also while the store is closed.',
    answer:
      '{version, state: "starting", "ready", "poisoned", "reopening", "failed" or "stopping", reason?, dataDirectory, durability, storageFull}, and when ready {storeId, epoch, nextSequence, clockAlarm?: "jumped" or "aheadAtStart", tables, streams, groups, pipelines, bridges: how many}',
    run: ({ daemon }) => ok(statusOf(daemon)),
  },
  {
    method: 'POST',
    path: 'clock/confirm',
    summary: 'Believes the wall clock after a jump that raised `clockAlarm`.',
    answer: '{confirmed: true}',
    run: ({ daemon }) => {
      daemon.rooms.store.commit.time.confirm()
      return ok({ confirmed: true })
    },
  },
]

function statusOf(daemon: Daemon): object {
  const base = {
    version,
    ...daemon.state,
    dataDirectory: daemon.dataDirectory,
    durability: daemon.config.durability,
    storageFull: daemon.storageFull,
  }
  if (daemon.state.state !== 'ready') return base
  const { store, log, groups, tables, pipelines, bridges } = daemon.rooms
  return {
    ...base,
    storeId: store.commit.storeId,
    epoch: store.commit.epoch,
    nextSequence: log.nextSequence(),
    clockAlarm: store.commit.time.alarm,
    tables: tables.list().length,
    streams: log.streams().length,
    groups: groups.list().length,
    pipelines: pipelines.list().length,
    bridges: bridges.count,
  }
}
