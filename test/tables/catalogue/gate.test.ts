import { describe, expect, it } from 'vitest'
import { Gate } from '../../../src/tables/catalogue/gate.js'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Asks for the gate; `is` says whether it was let in. */
function ask(asked: (() => void) | Promise<() => void>) {
  const state = { isIn: false, leave: () => {} }
  void Promise.resolve(asked).then((leave) => Object.assign(state, { isIn: true, leave }))
  return state
}

describe('the gate of a table', () => {
  it('lets nobody in while the control plane has it alone', async () => {
    const gate = new Gate()
    const control = ask(gate.exclude())
    await turn()
    const [writer, other] = [ask(gate.share()), ask(gate.exclude())]
    await turn()
    expect([control.isIn, writer.isIn, other.isIn]).toEqual([true, false, false])
    control.leave()
    await turn()
    expect([writer.isIn, other.isIn]).toEqual([true, false])
    writer.leave()
    await turn()
    expect(other.isIn).toBe(true)
  })

  it('lets writers in together, and none past a control operation that waits', async () => {
    const gate = new Gate()
    const writers = [ask(gate.share()), ask(gate.share())]
    await turn()
    const control = ask(gate.exclude())
    const late = ask(gate.share())
    await turn()
    expect([...writers.map(({ isIn }) => isIn), control.isIn, late.isIn]).toEqual([true, true, false, false])
    for (const { leave } of writers) leave()
    await turn()
    expect([control.isIn, late.isIn]).toEqual([true, false])
    control.leave()
    await turn()
    expect(late.isIn).toBe(true)
  })
})
