import { type Plan, perform } from './actions.js'
import { Clients } from './clients.js'
import { Simulation } from './simulation.js'

/** How much a run has seen, to know that the runs are not all idle. */
export interface Seen {
  readonly records: number
  readonly given: number
  readonly crashes: number
  readonly shards: number
}

/** Plays a plan to its end. Returns what is wrong, with the way there. */
export async function play(plan: Plan): Promise<{ faults: readonly string[]; trace: readonly string[]; seen: Seen }> {
  const simulation = new Simulation(plan.seed)
  const clients = new Clients(simulation)
  await simulation.settle()
  clients.begin()
  for (const action of plan.actions) {
    perform(simulation, clients, action)
    for (let step = 0; step < action.steps; step++) await simulation.scheduler.step()
    if (simulation.journal.faults.length > 0) break
  }
  if (simulation.journal.faults.length === 0) await giveEverything(simulation, clients)
  const faults = simulation.journal.faults.length > 0 ? simulation.journal.faults : simulation.check()
  const stored = simulation.stored()
  let [records, given] = [0, 0]
  for (const [id, { name }] of stored.streams) {
    if (name.startsWith('out:')) given += stored.records(id).length
    else records += stored.records(id).length
  }
  if (faults.length === 0) await simulation.damage()
  return {
    faults: faults.length > 0 ? faults : simulation.journal.faults,
    trace: simulation.journal.trace,
    seen: { records, given, crashes: simulation.crashes, shards: stored.shards.size },
  }
}

/** Without further crashes, until no group has anything to read. */
async function giveEverything(simulation: Simulation, clients: Clients): Promise<void> {
  for (let idle = 0, round = 0; idle < 8; round++) {
    await simulation.settle()
    if (!simulation.rooms) return
    if (round === 0) clients.members.leaveAll()
    if (round > 200) return simulation.fault('the groups do not come to an end')
    // Silent members lose what they hold; those that poll do not.
    simulation.clock.advance(6000)
    clients.members.joinAll()
    clients.members.pollAll()
    clients.producers.finish()
    const before = simulation.progress
    for (let group = 0; group < 4; group++) clients.consume({ pick: group, size: 60 })
    await simulation.settle()
    idle = simulation.progress === before ? idle + 1 : 0
    if (simulation.journal.faults.length > 0) return
  }
}
