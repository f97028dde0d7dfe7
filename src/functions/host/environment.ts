import { randomBytes } from 'node:crypto'

/** The access key with which handlers sign; the daemon takes it whether or not others must show who they are. */
export interface HandlerKey {
  readonly id: string
  readonly secret: string
}

/** A key of this life of the daemon. */
export const newHandlerKey = (): HandlerKey => ({
  id: `MILLRACE${randomBytes(6).toString('hex').toUpperCase()}`,
  secret: randomBytes(30).toString('base64url'),
})

export interface EnvironmentOptions {
  readonly functionName: string
  readonly handler: string
  readonly memoryMb: number
  readonly region: string
  readonly root: string
  readonly logGroupName: string
  readonly logStreamName: string
  readonly endpoint: string
  readonly key: HandlerKey
  /** The function's own variables. */
  readonly environment: Readonly<Record<string, string>>
}

/** Of the daemon's own environment: what programs need, and nothing that may be a secret. */
const passedOn = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TEMP', 'SystemRoot'] as const

/** The variables that Lambda gives a handler, those of this daemon, and the function's own, which win. */
export function environmentOf(options: EnvironmentOptions): Record<string, string> {
  const { functionName, handler, memoryMb, region, root, logGroupName, logStreamName, endpoint, key } = options
  const own = Object.fromEntries(
    passedOn.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
  return {
    ...own,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: key.id,
    AWS_SECRET_ACCESS_KEY: key.secret,
    AWS_ENDPOINT_URL: endpoint,
    AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${process.versions.node.split('.')[0]}.x`,
    AWS_LAMBDA_FUNCTION_NAME: functionName,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: logGroupName,
    AWS_LAMBDA_LOG_STREAM_NAME: logStreamName,
    // Both versions would say in every log that they want a newer one.
    AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE: '1',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
    LAMBDA_TASK_ROOT: root,
    _HANDLER: handler,
    ...options.environment,
  }
}
