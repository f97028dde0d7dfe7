import { invalid, notFound } from './fault.js'

/** Whose functions there are. */
export interface FunctionHome {
  readonly region: string
  readonly accountId: string
}

const form =
  /^(?:arn:aws[a-z-]*:lambda:)?(?:([a-z]{2}(?:-[a-z]+)+-\d):)?(?:(\d{12}):)?(?:function:)?([a-zA-Z0-9-_]+)(?::(\$LATEST|[a-zA-Z0-9-_]+))?$/
/** As AWS words it. */
const namePattern =
  '(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?'

/**
 * The name of a function that a request means: by name, by a part of its ARN, or by ARN; with or without a version, of which
 * there is one, `$LATEST`. Throws LambdaFault.
 */
export function functionNameOf(given: string, qualifier: string | undefined, home: FunctionHome): string {
  const found = form.exec(given)
  if (!found)
    throw invalid(
      `1 validation error detected: Value '${given}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ${namePattern}`,
    )
  const [, region = home.region, accountId = home.accountId, name, version = qualifier ?? '$LATEST'] = found
  if (region !== home.region)
    throw notFound(`Functions from '${region}' are not reachable in this region ('${home.region}')`)
  if (accountId !== home.accountId || version !== '$LATEST' || (qualifier ?? version) !== version)
    throw functionNotFound(`${name}${version === '$LATEST' ? '' : `:${version}`}`, { region, accountId })
  return name as string
}

export const functionNotFound = (name: string, { region, accountId }: FunctionHome) =>
  notFound(`Function not found: arn:aws:lambda:${region}:${accountId}:function:${name}`)
