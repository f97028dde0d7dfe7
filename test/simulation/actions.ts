import fc from 'fast-check'
import type { Choice } from './choice.js'
import type { Clients } from './clients.js'
import type { Simulation } from './simulation.js'

const hour = 3_600_000

/** A moment, a session of a member, an hour. */
const ticks = [1, 300, 60_000] as const

type Act = (simulation: Simulation, clients: Clients, choice: Choice) => void

/** What may happen, and how often against the others. A new action is one more line. */
const acts = {
  append: { weight: 20, run: (_, clients, choice) => clients.append(choice) },
  raise: { weight: 9, run: (_, clients, choice) => clients.raise(choice) },
  look: { weight: 4, run: (_, clients, choice) => clients.look(choice) },
  read: { weight: 8, run: (_, clients, choice) => clients.read(choice) },
  split: { weight: 7, run: (_, clients, choice) => clients.split(choice) },
  reopen: { weight: 2, run: (_, clients, choice) => clients.reopen(choice) },
  join: { weight: 3, run: (_, clients, choice) => clients.join(choice) },
  consume: { weight: 16, run: (_, clients, choice) => clients.consume(choice) },
  produce: { weight: 10, run: (_, clients, choice) => clients.producers.produce(choice) },
  memberJoins: { weight: 5, run: (_, clients, choice) => clients.members.join(choice) },
  memberPolls: { weight: 14, run: (_, clients, choice) => clients.members.poll(choice) },
  memberLeaves: { weight: 2, run: (_, clients, choice) => clients.members.leave(choice) },
  seek: { weight: 1, run: (_, clients, choice) => clients.members.seek(choice) },
  merge: { weight: 4, run: (_, clients, choice) => clients.merge(choice) },
  retain: { weight: 4, run: (simulation) => simulation.retain() },
  tick: { weight: 3, run: (simulation, _, { pick, size }) => simulation.clock.advance(size * ticks[pick % 3]!) },
  jump: { weight: 1, run: (simulation, _, { pick, size }) => simulation.jump((1 + size) * (pick % 2 ? hour : -hour)) },
  expire: { weight: 1, run: (simulation) => simulation.checkExpiry() },
  kill: { weight: 2, run: (simulation) => simulation.crash('kill') },
  powerFails: { weight: 2, run: (simulation) => simulation.crash('power') },
  writeFails: { weight: 2, run: (simulation) => simulation.failWrite() },
  stop: { weight: 1, run: (simulation) => simulation.stop() },
} satisfies Record<string, { weight: number; run: Act }>

export type ActName = keyof typeof acts

export interface Action extends Choice {
  readonly act: ActName
  /** Steps of the scheduler that follow. */
  readonly steps: number
}

/** One run: what happens, and the seed of the order in which what runs beside each other goes on. */
export interface Plan {
  readonly seed: number
  readonly actions: readonly Action[]
}

const names = Object.keys(acts) as ActName[]

export const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(0xffff_ffff),
  actions: fc.array(
    fc.record({
      act: fc.oneof(...names.map((name) => ({ weight: acts[name].weight, arbitrary: fc.constant(name) }))),
      pick: fc.nat(63),
      size: fc.nat(63),
      steps: fc.nat(7),
    }),
    { minLength: 1, maxLength: 90, size: 'max' },
  ),
})

export function perform(simulation: Simulation, clients: Clients, action: Action): void {
  const needsRooms = !['tick', 'jump', 'kill', 'powerFails', 'writeFails'].includes(action.act)
  if (needsRooms && !simulation.rooms) return simulation.open()
  simulation.note(`${action.act} ${action.pick} ${action.size}`)
  ;(acts[action.act].run as Act)(simulation, clients, action)
}
