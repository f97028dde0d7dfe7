import { validation } from '../requests/aws-error.js'
import { type Input, text } from '../requests/request.js'

const classes = ['STANDARD', 'STANDARD_INFREQUENT_ACCESS']

/** Reads TableClass, which AWS refuses in words of its own. */
export function readTableClass(input: Input): string | undefined {
  const given = text(input, 'TableClass')
  if (given === undefined || classes.includes(given)) return given
  throw validation(
    `Invalid table-class parameter provided. Please try again with a valid table-class value: [${classes.join(', ')}].`,
  )
}
