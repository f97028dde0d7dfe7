import type { FunctionRequest } from '../../functions/index.js'
import { MillraceError } from '../../runtime/index.js'
import { faultOfJson } from '../event-json.js'
import { created, ok, type Route } from './route.js'

const shape =
  '{name, arn, handler, path?, isConfigured, settings: {description, timeoutMs, memoryMb, concurrency, environment, failOnUnhandledSdkError}, code: {hash, bytes, origin, entry?}, createdAt, modifiedAt, revision, counts: {invocations, errors, throttles, unhandledSdkErrors, failedSdkRequests, retries, dropped, durationSeconds}, waitingCalls}'

const settingsShape =
  'path: a file or folder on the machine of the daemon, or files: [{path, content: base64}] with origin: the absolute path of their folder, and entry?: the one that is meant; description?, handler?, timeoutMs?, memoryMb?, concurrency?, environment?: {NAME: text}, failOnUnhandledSdkError?'

export const functionRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'functions',
    summary: 'All functions.',
    answer: '{functions: [function]}',
    run: ({ daemon }) => ok({ functions: daemon.rooms.functions.list() }),
  },
  {
    method: 'POST',
    path: 'functions',
    summary: 'Makes a function: a handler as Lambda runs them. Its code is copied.',
    body: `{name, ${settingsShape}}`,
    answer: '201 function',
    errors: ['FUNCTION_INVALID', 'ALREADY_EXISTS', 'TOO_BUSY', 'TOO_LARGE'],
    run: async ({ daemon, json }) => {
      const { name, ...request } = await json()
      return created(await daemon.rooms.functions.create(name as string, request as FunctionRequest))
    },
  },
  {
    method: 'GET',
    path: 'functions/{name}',
    summary: 'One function.',
    answer: `function: ${shape}`,
    errors: ['FUNCTION_NOT_FOUND'],
    run: ({ daemon, names }) => ok(daemon.rooms.functions.show(names[0] as string)),
  },
  {
    method: 'PATCH',
    path: 'functions/{name}',
    summary:
      'Changes a function: what is named, and its code, which is read again from its path or taken from the request. Calls that are under way end as they began.',
    body: `{${settingsShape}}, each of which may be left out`,
    answer: 'function',
    errors: ['FUNCTION_NOT_FOUND', 'FUNCTION_INVALID', 'CONFLICT', 'TOO_LARGE'],
    run: async ({ daemon, names, json }) =>
      ok(await daemon.rooms.functions.update(names[0] as string, (await json()) as FunctionRequest)),
  },
  {
    method: 'DELETE',
    path: 'functions/{name}',
    summary: 'Removes a function and its log; calls that are under way end.',
    answer: '{deleted: name}',
    errors: ['FUNCTION_NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => {
      await daemon.rooms.functions.delete(names[0] as string)
      return ok({ deleted: names[0] })
    },
  },
  {
    method: 'POST',
    path: 'functions/{name}/invoke',
    summary: 'Calls a function with the body as its event and waits for the answer.',
    body: 'any JSON; nothing is {}',
    answer:
      '{requestId, payload: what the handler gave, functionError?: "Unhandled": then payload is {errorType, errorMessage, trace}, durationMs, log: its last 4 KB}',
    errors: ['FUNCTION_NOT_FOUND', 'FUNCTION_BUSY', 'FUNCTION_STOPPED'],
    run: async ({ daemon, names, body }) => {
      const given = await body()
      const payload = given.length === 0 ? Buffer.from('{}') : given
      const why = faultOfJson(payload)
      if (why !== undefined) throw new MillraceError('BAD_REQUEST', `The event is no JSON: ${why}.`)
      const answer = await daemon.rooms.functions.invoke({
        functionName: names[0] as string,
        // The bytes of a request are counted until it is answered, and may not go to another thread.
        payload: new Uint8Array(payload),
        source: 'client',
      })
      const { payload: text, logTail: log, ...rest } = answer
      return ok({ ...rest, payload: JSON.parse(text) as unknown, log })
    },
  },
]
