import { validation } from '../requests/aws-error.js'
import { Constraints, type Input, object } from '../requests/request.js'

/** What BatchWriteItem and BatchGetItem ask for, by table. Throws ValidationException when it is nothing. */
export function requestItems(input: Input, operation: string): Input {
  const requests = object(input, 'RequestItems')
  const constraints = new Constraints()
  constraints.check(requests !== undefined, 'requestItems', undefined, 'Member must not be null')
  constraints.done()
  if (Object.keys(requests as Input).length === 0)
    throw validation(`The requestItems parameter is required for ${operation}`)
  return requests as Input
}
