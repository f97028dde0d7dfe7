import { type FunctionHome, functionReference, isHere, noFunctionName } from '../../functions/index.js'
import { invalid, notFound } from './fault.js'

/** The name of the function that the path of a request and its `Qualifier` mean. Throws LambdaFault. */
export function functionNameOf(given: string, qualifier: string | undefined, home: FunctionHome): string {
  const reference = functionReference(given, home)
  if (!reference) throw invalid(noFunctionName(given))
  const { region, functionName, qualifier: version = qualifier } = reference
  if (region !== home.region)
    throw notFound(`Functions from '${region}' are not reachable in this region ('${home.region}')`)
  if (!isHere({ ...reference, qualifier: version }, home) || (qualifier ?? version) !== version)
    throw functionNotFound(
      version === undefined || version === '$LATEST' ? functionName : `${functionName}:${version}`,
      reference,
    )
  return functionName
}

export const functionNotFound = (name: string, { region, accountId }: FunctionHome) =>
  notFound(`Function not found: arn:aws:lambda:${region}:${accountId}:function:${name}`)
