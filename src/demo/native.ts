import { setTimeout as sleep } from 'node:timers/promises'
import { MillraceError } from '../runtime/index.js'
import { attemptsMax, backOffMs } from './aws.js'
import type { Daemon } from './daemon.js'

/** One request to the native API. Reads are sent again when the daemon is away; what changes something is not. */
export async function native<Answer>(daemon: Daemon, method: string, path: string, body?: unknown): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    await daemon.ready()
    try {
      const response = await fetch(`${daemon.url}/v1/${path}`, {
        method,
        headers: { 'content-type': 'application/json', 'x-millrace': '1' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (response.ok) return JSON.parse(text) as Answer
      if (response.status < 500 || attempt >= attemptsMax) {
        throw new MillraceError('INTERNAL', `${method} /v1/${path} was answered with ${response.status}: ${text}`)
      }
    } catch (error) {
      if (error instanceof MillraceError || method !== 'GET' || attempt >= attemptsMax) throw error
    }
    await sleep(backOffMs(attempt))
  }
}

/** What the demo needs to know of `GET /v1/groups`. */
interface GroupsAnswer {
  readonly groups: readonly { readonly name: string; readonly stream?: string; readonly lag: number }[]
}

/** What the demo needs to know of `GET /v1/pipelines`. */
interface PipelinesAnswer {
  readonly pipelines: readonly {
    readonly name: string
    readonly state: string
    readonly error?: { readonly message: string } | null
  }[]
}

/** No change of any group's lag for this long is a fault, not slowness. */
const stallMsMax = 60_000

/**
 * Resolves when every group that reads `stream` has committed all of it. `onLag` gets the largest lag, in sequence
 * numbers. Throws when a pipeline has failed or nothing moves any more.
 */
export async function caughtUp(daemon: Daemon, stream: string, onLag: (lag: number) => void): Promise<void> {
  let smallest = Number.POSITIVE_INFINITY
  let movedAt = performance.now()
  for (;;) {
    const { pipelines } = await native<PipelinesAnswer>(daemon, 'GET', 'pipelines')
    const failed = pipelines.find(({ state }) => state === 'failed')
    if (failed) {
      throw new MillraceError('PIPELINE_FAILED', `The pipeline ${failed.name} has failed: ${failed.error?.message}.`)
    }
    const { groups } = await native<GroupsAnswer>(daemon, 'GET', 'groups')
    const lags = groups.filter((group) => group.stream === stream).map(({ lag }) => lag)
    const lag = Math.max(0, ...lags)
    onLag(lag)
    if (lag === 0) return
    const sum = lags.reduce((total, each) => total + each, 0)
    if (sum < smallest) {
      smallest = sum
      movedAt = performance.now()
    } else if (performance.now() - movedAt > stallMsMax) {
      throw new MillraceError('TOO_BUSY', `The groups of ${stream} have not moved for ${stallMsMax / 1000} s.`, {
        details: { groups },
      })
    }
    await sleep(50)
  }
}
