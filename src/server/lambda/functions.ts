import type { FunctionView } from '../../functions/index.js'
import type { LambdaCall, LambdaOperation } from './call.js'
import { fault } from './fault.js'
import { functionNameOf, functionNotFound } from './function-name.js'
import { pageSize } from './page-size.js'

/** AWS gives fifty at most, whatever is asked for. */
const pageMax = 50

export const functionOperations: readonly LambdaOperation[] = [
  {
    name: 'ListFunctions',
    method: 'GET',
    path: '/2015-03-31/functions',
    run: ({ rooms, home, query }) => {
      const size = pageSize(query, pageMax)
      const after = markerOf(query.get('Marker'))
      const functions = rooms.functions.list().filter(({ name }) => after === undefined || name > after)
      const page = functions.slice(0, size)
      const last = functions.length > size ? page[page.length - 1] : undefined
      const body = {
        Functions: page.map((view) => configurationOf(view, home.accountId)),
        ...(last ? { NextMarker: Buffer.from(last.name).toString('base64') } : {}),
      }
      return { status: 200, body }
    },
  },
  {
    name: 'GetFunction',
    method: 'GET',
    path: '/2015-03-31/functions/{name}',
    run: (call) => {
      const view = viewOf(call)
      const body = {
        Configuration: configurationOf(view, call.home.accountId),
        // The code lies in the daemon's store: there is no address to load it from.
        Code: { RepositoryType: 'Millrace' },
        Concurrency: { ReservedConcurrentExecutions: view.settings.concurrency },
      }
      return { status: 200, body }
    },
  },
  {
    name: 'GetFunctionConfiguration',
    method: 'GET',
    path: '/2015-03-31/functions/{name}/configuration',
    run: (call) => ({ status: 200, body: configurationOf(viewOf(call), call.home.accountId) }),
  },
  {
    name: 'GetFunctionConcurrency',
    method: 'GET',
    path: '/2019-09-30/functions/{name}/concurrency',
    run: (call) => ({ status: 200, body: { ReservedConcurrentExecutions: viewOf(call).settings.concurrency } }),
  },
]

/** The name of the function that a call means. Throws LambdaFault. */
export function namedFunction({ rooms, home, names, query }: LambdaCall): string {
  const name = functionNameOf(names[0] as string, query.get('Qualifier') ?? undefined, home)
  if (!rooms.functions.has(name)) throw functionNotFound(name, home)
  return name
}

const viewOf = (call: LambdaCall): FunctionView => call.rooms.functions.show(namedFunction(call))

/** What AWS says of a function, where it means something here. */
function configurationOf({ name, arn, handler, settings, code, modifiedAt, revision }: FunctionView, account: string) {
  const variables = settings.environment
  return {
    FunctionName: name,
    FunctionArn: arn,
    Runtime: `nodejs${process.versions.node.split('.')[0]}.x`,
    Role: `arn:aws:iam::${account}:role/millrace`,
    Handler: handler,
    CodeSize: code.bytes,
    Description: settings.description,
    // AWS knows whole seconds.
    Timeout: Math.ceil(settings.timeoutMs / 1000),
    LastModified: new Date(modifiedAt).toISOString().replace('Z', '+0000'),
    CodeSha256: Buffer.from(code.hash, 'hex').toString('base64'),
    Version: '$LATEST',
    MemorySize: settings.memoryMb,
    ...(Object.keys(variables).length === 0 ? {} : { Environment: { Variables: variables } }),
    TracingConfig: { Mode: 'PassThrough' },
    RevisionId: revisionId(code.hash, revision),
    State: 'Active',
    LastUpdateStatus: 'Successful',
    PackageType: 'Zip',
    Architectures: [process.arch === 'arm64' ? 'arm64' : 'x86_64'],
    LoggingConfig: { LogFormat: 'Text', LogGroup: `/aws/lambda/${name}` },
  }
}

/** In the form of a UUID: another one with each change. */
function revisionId(hash: string, revision: number): string {
  const last = revision.toString(16).padStart(12, '0')
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-${hash.slice(12, 16)}-${hash.slice(16, 20)}-${last}`
}

function markerOf(text: string | null): string | undefined {
  if (text === null || text === '') return undefined
  const name = Buffer.from(text, 'base64').toString()
  if (/^[\w-]{1,64}$/.test(name)) return name
  throw fault('InvalidParameterValueException', 400, 'Invalid Marker.')
}
