import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { DaemonProcess } from '../../daemon-process.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { type Answer, type Backend, type Crash, targetOf } from './backend.js'
import { stepsOf } from './steps.js'
import { viewTypes } from './stream.js'
import { runSteps } from './whole-run.js'

const runs = Number(process.env.MILLRACE_TEST_KILLS ?? 60)

/** A daemon in a process of its own, which is killed with SIGKILL where the model wants a crash. */
class KilledBackend implements Backend {
  readonly #data: string
  #daemon: DaemonProcess
  kills = 0

  constructor(data: string, daemon: DaemonProcess) {
    this.#data = data
    this.#daemon = daemon
  }

  async ask(operation: string, input: object): Promise<Answer> {
    const response = await fetch(this.#daemon.url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `${targetOf(operation)}.${operation}` },
      body: JSON.stringify(input),
    })
    const body = (await response.json()) as Answer['body'] & { __type?: string; message?: string }
    if (response.status >= 500) throw new Error(JSON.stringify(body))
    return { error: body.__type?.replace(/^.*#/, ''), message: body.message, body }
  }

  async split(table: string): Promise<void> {
    const { shards } = await this.#daemon.v1<{ shards: { id: number; state: string }[] }>(
      'GET',
      `streams/table:${table}/shards`,
    )
    for (const { id } of shards.filter(({ state }) => state === 'open')) {
      await this.#daemon.v1('POST', `streams/table:${table}/shards/${id}/split`, {})
    }
  }

  async crash(requests: readonly (readonly [string, object])[], how: Crash): Promise<(Answer | undefined)[]> {
    const answers: (Answer | undefined)[] = requests.map(() => undefined)
    const asked = requests.map(async ([operation, input], i) => {
      answers[i] = await this.ask(operation, input).catch(() => undefined)
    })
    // After some answers or at once, so that the end meets requests in all their stages.
    if (how.writes > 0) await Promise.race(asked)
    if (how.reached) await new Promise((resolve) => setImmediate(resolve))
    await this.#daemon.kill()
    await Promise.all(asked)
    this.kills++
    this.#daemon = await DaemonProcess.start({ data: this.#data })
    return answers
  }

  stop(): Promise<number | null> {
    return this.#daemon.stop()
  }
}

test('a daemon that is killed again and again answers as the model does, and its streams tell the history', async () => {
  const data = `${temporaryFolder()}/data`
  const backend = new KilledBackend(data, await DaemonProcess.start({ data }))
  onTestFinished(async () => {
    await backend.stop()
  })
  let number = 0
  await fc.assert(
    fc.asyncProperty(stepsOf(true), fc.constantFrom(...viewTypes), fc.nat(), (steps, view, seed) =>
      runSteps(backend, { name: `model-${number++}`, hasRange: true, steps, view, seed }),
    ),
    { numRuns: runs, endOnFailure: true },
  )
  expect(backend.kills).toBeGreaterThan(runs / 4)
})
