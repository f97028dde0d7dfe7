/** Whose functions there are. */
export interface FunctionHome {
  readonly region: string
  readonly accountId: string
}

/** A function as a request names it. */
export interface FunctionReference extends FunctionHome {
  readonly functionName: string
  /** undefined: none was named. */
  readonly qualifier: string | undefined
}

const form =
  /^(?:arn:aws[a-z-]*:lambda:([a-z0-9-]+):|([a-z]{2}(?:-[a-z]+)+-\d):)?(?:(\d{12}):)?(?:function:)?([a-zA-Z0-9-_]+)(?::(\$LATEST|[a-zA-Z0-9-_]+))?$/
/** As AWS words it. */
const namePattern =
  '(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?'

/** By its name, a part of its ARN (`ACCOUNT:function:NAME`) or its ARN, with or without a version. undefined: it is no name. */
export function functionReference(text: string, home: FunctionHome): FunctionReference | undefined {
  const found = form.exec(text)
  if (!found) return undefined
  const [, whole, part, accountId = home.accountId, functionName, qualifier] = found
  const region = whole ?? part ?? home.region
  return { region, accountId, functionName: functionName as string, qualifier }
}

/** Whether a function of this region and account is meant, and the one version that each has. */
export function isHere({ region, accountId, qualifier = '$LATEST' }: FunctionReference, home: FunctionHome): boolean {
  return region === home.region && accountId === home.accountId && qualifier === '$LATEST'
}

/** What AWS says of a name that is none. */
export const noFunctionName = (text: string): string =>
  `1 validation error detected: Value '${text}' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ${namePattern}`
