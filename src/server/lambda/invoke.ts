import type { FunctionAnswer } from '../../functions/index.js'
import { faultOfJson } from '../event-json.js'
import type { LambdaAnswer, LambdaCall, LambdaOperation } from './call.js'
import { fault, invalid } from './fault.js'
import { namedFunction } from './functions.js'

/** What AWS takes of the event of a call that is answered, bytes, and of one that nobody waits for. */
const eventBytesMax = 6 * 1024 * 1024
const laterEventBytesMax = 1024 * 1024
/** Of a call's log that its answer brings, before it becomes base64. */
const logBytesMax = 4096

export const invokeOperations: readonly LambdaOperation[] = [
  { name: 'Invoke', method: 'POST', path: '/2015-03-31/functions/{name}/invocations', run: invoke },
  // What version 2 of the SDK has from before there was a type of invocation.
  {
    name: 'InvokeAsync',
    method: 'POST',
    path: '/2014-11-13/functions/{name}/invoke-async',
    run: (call) => invokeLater(call, namedFunction(call), eventOf(call.body, true)),
  },
]

async function invoke(call: LambdaCall): Promise<LambdaAnswer> {
  const type = oneOf(call, 'x-amz-invocation-type', 'invocationType', ['RequestResponse', 'Event', 'DryRun'])
  const logType = oneOf(call, 'x-amz-log-type', 'logType', ['None', 'Tail'])
  const functionName = namedFunction(call)
  if (type === 'DryRun') return { status: 204 }
  const payload = eventOf(call.body, type === 'Event')
  if (type === 'Event') return invokeLater(call, functionName, payload)
  return answerOf(await call.rooms.functions.invoke({ functionName, payload, source: 'client' }), logType === 'Tail')
}

async function invokeLater({ rooms }: LambdaCall, functionName: string, payload: Uint8Array): Promise<LambdaAnswer> {
  const { requestId } = await rooms.functions.invokeLater(functionName, payload)
  return { status: 202, body: '', requestId }
}

function answerOf({ requestId, payload, functionError, logTail }: FunctionAnswer, withLog: boolean): LambdaAnswer {
  const headers = {
    'x-amz-executed-version': '$LATEST',
    ...(functionError === undefined ? {} : { 'x-amz-function-error': functionError }),
    ...(withLog ? { 'x-amz-log-result': Buffer.from(logTail).subarray(-logBytesMax).toString('base64') } : {}),
  }
  return { status: 200, body: payload, headers, requestId }
}

/** The event in memory of its own; none is an empty object. Throws LambdaFault. */
function eventOf(body: Buffer, isLater: boolean): Uint8Array {
  if (!isLater && body.length > eventBytesMax)
    throw fault(
      'RequestTooLargeException',
      413,
      `Request must be smaller than ${eventBytesMax} bytes for the InvokeFunction operation`,
    )
  if (isLater && body.length > laterEventBytesMax)
    throw fault(
      'RequestTooLargeException',
      413,
      `${body.length} byte payload is too large for the Event invocation type (limit ${laterEventBytesMax} bytes)`,
    )
  if (body.length === 0) return new Uint8Array(Buffer.from('{}'))
  const why = faultOfJson(body)
  if (why !== undefined)
    throw fault(
      'InvalidRequestContentException',
      400,
      `Could not parse request body into json: Could not parse payload into json: ${why}`,
    )
  return new Uint8Array(body)
}

/** The value of a header that knows only some; the first of them when it is not there. Throws LambdaFault. */
function oneOf({ headers }: LambdaCall, header: string, member: string, values: readonly string[]): string {
  const given = headers[header]
  if (given === undefined) return values[0] as string
  if (typeof given === 'string' && values.includes(given)) return given
  throw invalid(
    `1 validation error detected: Value '${given}' at '${member}' failed to satisfy constraint: Member must satisfy enum value set: [${values.join(', ')}]`,
  )
}
