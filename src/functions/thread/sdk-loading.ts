import Module from 'node:module'
import type { SdkRequests } from './sdk-requests.js'

/** What is needed of version 2 of the AWS SDK. */
interface Version2 {
  readonly VERSION: string
  readonly config: { update(options: { endpoint: string }): void }
  readonly events: {
    on(event: 'validate', listener: (request: object) => void): void
    on(event: 'complete', listener: (response: Version2Response) => void): void
  }
}

interface Version2Error {
  readonly code?: string
  readonly message?: string
}

interface Version2Response {
  readonly error?: Version2Error | null
  readonly request: { readonly operation?: string }
}

type Load = (this: unknown, request: string, ...more: unknown[]) => unknown

/**
 * Version 3 of the AWS SDK reads the address of its services from the environment, version 2 does not: it is told when the
 * handler loads it, and tells its requests from then on. (A version 2 that is part of a bundle cannot be told.)
 */
export function prepareSdk(endpoint: string, requests: SdkRequests): void {
  const told = new WeakSet<object>()
  const loader = Module as unknown as { _load: Load }
  const load = loader._load
  loader._load = function (request, ...more) {
    const loaded = load.call(this, request, ...more)
    if (!request.includes('aws-sdk') && !request.endsWith('/core')) return loaded
    if (!isVersion2(loaded)) return loaded
    // It gets another configuration while it is being loaded.
    if (!told.has(loaded.config)) {
      told.add(loaded.config)
      loaded.config.update({ endpoint })
    }
    if (!told.has(loaded.events)) {
      told.add(loaded.events)
      hear(loaded.events, requests)
    }
    return loaded
  }
}

/** Its parts load each other in a circle, and see it before it is whole. */
function isVersion2(loaded: unknown): loaded is Version2 {
  if (typeof loaded !== 'object' || loaded === null) return false
  // To ask for a member that is not there yet makes Node warn of the circle.
  if (!['VERSION', 'config', 'events'].every((name) => Object.hasOwn(loaded, name))) return false
  const { VERSION, config, events } = loaded as Partial<Version2>
  return typeof VERSION === 'string' && typeof config?.update === 'function' && typeof events?.on === 'function'
}

function hear(events: Version2['events'], requests: SdkRequests): void {
  const begun = new WeakSet<object>()
  requests.isVersion2Told = true
  events.on('validate', (request) => {
    begun.add(request)
    requests.enter()
  })
  events.on('complete', ({ error, request }) => {
    if (!begun.delete(request)) return
    requests.leave(error && !isCondition(error) ? `${request.operation}: ${error.code}: ${error.message}` : undefined)
  })
}

/** A condition that was not met, or a transaction of which nothing else is to be said. */
function isCondition({ code, message = '' }: Version2Error): boolean {
  if (code === 'ConditionalCheckFailedException') return true
  const reasons = code === 'TransactionCanceledException' ? /\[([^\]]*)\]/.exec(message)?.[1] : undefined
  return reasons?.split(',').every((reason) => /^\s*(None|ConditionalCheckFailed)\s*$/.test(reason)) ?? false
}
