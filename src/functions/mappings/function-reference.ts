import { invalidParameter } from './mapping-fault.js'

/** A function as a request names it. */
export interface FunctionReference {
  readonly functionName: string
  /** undefined: none was named. */
  readonly qualifier: string | undefined
}

const form =
  /^(?:arn:aws[a-z-]*:lambda:([a-z0-9-]+):)?(?:(\d{12}):)?(?:function:)?([a-zA-Z0-9-_]{1,64})(?::(\$LATEST|[a-zA-Z0-9-_]+))?$/

/**
 * By its name, a part of its ARN (`ACCOUNT:function:NAME`) or its ARN, with or without a version. There is one version of each
 * function here, `$LATEST`. Throws MappingFault.
 */
export function functionReference(
  text: string,
  home: { readonly region: string; readonly accountId: string },
): FunctionReference {
  const found = form.exec(text)
  if (!found) throw invalidParameter(`The function name ${text} is not valid.`)
  const [, region, accountId, functionName, qualifier] = found
  const isHere = (region ?? home.region) === home.region && (accountId ?? home.accountId) === home.accountId
  if (!isHere || (qualifier !== undefined && qualifier !== '$LATEST')) throw invalidParameter('Function does not exist')
  return { functionName: functionName as string, qualifier }
}
