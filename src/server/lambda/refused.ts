import { fault, type LambdaFault } from './fault.js'

interface Refused {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly remedy: string
}

const functions = '/2015-03-31/functions'
const oneVersion = 'A function has one version here, $LATEST, and no aliases: give no qualifier.'
const noPermissions = 'There are no permissions of functions here: whoever has a key of the daemon may call them.'
const onConcurrency = 'Set the concurrency of a function by `millrace functions update NAME --concurrency N`.'
const noLayers = 'There are no layers: put modules into the folder of the function, or into functionHost.modulePaths.'
const eventInvoke =
  'A call of the type Event is made again after 60 and 120 s and then given up; nothing of that can be set.'
const noUrls = 'A function has no URL of its own: POST /v1/functions/NAME/invoke calls it.'

const of = (remedy: string, ...operations: (readonly [name: string, method: string, path: string])[]): Refused[] =>
  operations.map(([name, method, path]) => ({ name, method, path, remedy }))

/** What the Lambda API has and is not here, and what does the same. */
const refused: readonly Refused[] = [
  ...of(
    'Make functions by `millrace functions create NAME --path PATH`, POST /v1/functions, or in the configuration.',
    ['CreateFunction', 'POST', functions],
  ),
  ...of(
    'Change functions by `millrace functions update NAME --path PATH`, or PATCH /v1/functions/NAME.',
    ['UpdateFunctionCode', 'PUT', `${functions}/{name}/code`],
    ['UpdateFunctionConfiguration', 'PUT', `${functions}/{name}/configuration`],
  ),
  ...of('Remove functions by `millrace functions delete NAME`, or DELETE /v1/functions/NAME.', [
    'DeleteFunction',
    'DELETE',
    `${functions}/{name}`,
  ]),
  ...of('Use Invoke.', [
    'InvokeWithResponseStream',
    'POST',
    '/2021-11-15/functions/{name}/response-streaming-invocations',
  ]),
  ...of(
    oneVersion,
    ['PublishVersion', 'POST', `${functions}/{name}/versions`],
    ['ListVersionsByFunction', 'GET', `${functions}/{name}/versions`],
    ['CreateAlias', 'POST', `${functions}/{name}/aliases`],
    ['ListAliases', 'GET', `${functions}/{name}/aliases`],
    ['GetAlias', 'GET', `${functions}/{name}/aliases/{alias}`],
    ['UpdateAlias', 'PUT', `${functions}/{name}/aliases/{alias}`],
    ['DeleteAlias', 'DELETE', `${functions}/{name}/aliases/{alias}`],
  ),
  ...of(
    noPermissions,
    ['AddPermission', 'POST', `${functions}/{name}/policy`],
    ['GetPolicy', 'GET', `${functions}/{name}/policy`],
    ['RemovePermission', 'DELETE', `${functions}/{name}/policy/{statement}`],
  ),
  ...of(
    onConcurrency,
    ['PutFunctionConcurrency', 'PUT', '/2017-10-31/functions/{name}/concurrency'],
    ['DeleteFunctionConcurrency', 'DELETE', '/2017-10-31/functions/{name}/concurrency'],
    ['PutProvisionedConcurrencyConfig', 'PUT', '/2019-09-30/functions/{name}/provisioned-concurrency'],
    ['GetProvisionedConcurrencyConfig', 'GET', '/2019-09-30/functions/{name}/provisioned-concurrency'],
    ['DeleteProvisionedConcurrencyConfig', 'DELETE', '/2019-09-30/functions/{name}/provisioned-concurrency'],
  ),
  ...of(
    eventInvoke,
    ['PutFunctionEventInvokeConfig', 'PUT', '/2019-09-25/functions/{name}/event-invoke-config'],
    ['UpdateFunctionEventInvokeConfig', 'POST', '/2019-09-25/functions/{name}/event-invoke-config'],
    ['GetFunctionEventInvokeConfig', 'GET', '/2019-09-25/functions/{name}/event-invoke-config'],
    ['DeleteFunctionEventInvokeConfig', 'DELETE', '/2019-09-25/functions/{name}/event-invoke-config'],
    ['ListFunctionEventInvokeConfigs', 'GET', '/2019-09-25/functions/{name}/event-invoke-config/list'],
  ),
  ...of(
    noUrls,
    ['CreateFunctionUrlConfig', 'POST', '/2021-10-31/functions/{name}/url'],
    ['GetFunctionUrlConfig', 'GET', '/2021-10-31/functions/{name}/url'],
    ['UpdateFunctionUrlConfig', 'PUT', '/2021-10-31/functions/{name}/url'],
    ['DeleteFunctionUrlConfig', 'DELETE', '/2021-10-31/functions/{name}/url'],
    ['ListFunctionUrlConfigs', 'GET', '/2021-10-31/functions/{name}/urls'],
  ),
  ...of(
    noLayers,
    ['ListLayers', 'GET', '/2018-10-31/layers'],
    ['ListLayerVersions', 'GET', '/2018-10-31/layers/{layer}/versions'],
    ['PublishLayerVersion', 'POST', '/2018-10-31/layers/{layer}/versions'],
    ['GetLayerVersion', 'GET', '/2018-10-31/layers/{layer}/versions/{version}'],
    ['DeleteLayerVersion', 'DELETE', '/2018-10-31/layers/{layer}/versions/{version}'],
  ),
]

export const refusedOperations = refused.map(({ name, method, path, remedy }) => ({
  name,
  method,
  path,
  run: (): never => {
    throw unsupported(`${name} is not served here. ${remedy}`)
  },
}))

/** No error of AWS's model, so that nobody takes it for one. */
export const unsupported = (message: string): LambdaFault => fault('UnsupportedOperationException', 400, message)
