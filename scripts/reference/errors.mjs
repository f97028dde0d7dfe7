import { errorKinds, MillraceError } from '../../dist/runtime/index.js'
import { awsFailureOf } from '../../dist/server/aws/failure.js'
import { code, page, table } from './markdown.mjs'

const nameOf = ({ type }) => type.slice(type.indexOf('#') + 1)

/** How the AWS path answers each of our own codes; several share an answer. */
function awsRows() {
  const byAnswer = new Map()
  for (const each of Object.keys(errorKinds)) {
    const failure = awsFailureOf(new MillraceError(each, ''))
    const answer = `${failure.status} ${failure.status === 413 ? 'without a body' : code(nameOf(failure))}`
    byAnswer.set(answer, [...(byAnswer.get(answer) ?? []), each])
  }
  // What the path itself never gives shares the answer of all that is not expected.
  const unexpected = ([answer]) => answer.startsWith('500')
  const rows = [...byAnswer]
    .filter((row) => !unexpected(row))
    .map(([answer, codes]) => [answer, codes.map(code).join(', ')])
  const [rest] = [...byAnswer].find(unexpected)
  return [
    ...rows,
    [
      rest,
      `every other: ${['STORE_FAILED', 'LOG_DAMAGED', 'STORE_CORRUPT', 'IO_FAILED', 'INTERNAL'].map(code).join(', ')}`,
    ],
  ]
}

export function errorsPage() {
  return page(
    'Errors',
    `Every error has a code that does not change, one sentence of what happened and one of what to do. The command prints
them on standard error and exits with 1, or with 2 for wrong usage and a wrong configuration. The native API answers with
the status below and`,
    `\`\`\`json
{"error": {"code": "NOT_FOUND", "message": "There is no stream named clicks.", "remedy": "Check the name; …",
           "retryable": false, "outcome": "notApplied", "details": {}}}
\`\`\``,
    `${code('retryable')}: the same call may succeed later. ${code('outcome')}: ${code('notApplied')} when nothing was changed; ${code('unknown')} when it
may have been, so read before you write again what must not be there twice.`,
    table(
      ['code', 'status', 'retryable', 'what to do'],
      Object.entries(errorKinds).map(([name, { status, retryable, remedy }]) => [
        code(name),
        status,
        retryable ? 'yes' : 'no',
        remedy,
      ]),
    ),
    `## On the AWS path

Errors of DynamoDB itself have DynamoDB's own names and texts. The daemon's are told to the SDKs like this; SDKs retry
throttling, 503 and 500 by themselves, with back-off. ${code('ThrottlingException')} and ${code('ServiceUnavailable')} mean that nothing was applied;
${code('InternalServerError')} means that it is not known, as it does on AWS. The message begins with the code.`,
    table(['answer', 'codes'], awsRows()),
  )
}
