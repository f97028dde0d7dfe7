import { z } from 'zod'
import { MillraceError } from '../../runtime/index.js'
import { bridgeOptions, deadLettersOf } from '../options.js'

/** What the values of a topic are that goes into a table. */
export const intakeFormats = ['envelope', 'image', 'dynamodb-streams'] as const
export type IntakeFormat = (typeof intakeFormats)[number]

/** What becomes of a message that cannot be stored as what it should be. */
export const unreadableWays = ['dead-letter', 'stop'] as const

const { name, brokers, cluster, driver, clientId, images, start, deadLetters } = bridgeOptions.shape
const target = /^(stream|table):(.{1,255})$/

const intakeOptions = z.strictObject({
  direction: z.literal('in').default('in'),
  name,
  brokers,
  cluster,
  driver,
  /** The topic to read: all of its partitions, also those that come later. */
  topic: bridgeOptions.shape.prefix.removeDefault(),
  /** `stream:NAME` or `table:NAME`, which must exist. */
  into: z.string().regex(target, 'is stream:NAME or table:NAME'),
  /** Into a table: what the values are. */
  format: z.enum(intakeFormats).default('envelope'),
  /** Into a table: how the items in values are written. */
  images,
  /** Where a bridge begins that is new; partitions that come later are read from their beginning. */
  start,
  unreadable: z.enum(unreadableWays).default('dead-letter'),
  /** The stream that takes what cannot be stored; `NAME.dead-letters` when not given. Made when it is not there. */
  deadLetters,
  /** The consumer group that offsets are stored for, for others to see; `millrace.<store id>.<name>` when not given. */
  group: z.string().min(1).max(255).optional(),
  clientId,
})

/** What a user gives to create a bridge in. */
export type IntakeRequest = z.input<typeof intakeOptions>
/** The same with every default filled in. */
export type IntakeOptions = z.output<typeof intakeOptions>

/** Whether a request is for a bridge in: it says so, or says where to. */
export const isIntakeRequest = (request: unknown): request is IntakeRequest =>
  typeof request === 'object' &&
  request !== null &&
  ((request as IntakeRequest).direction === 'in' || 'into' in request)

/** Throws BAD_REQUEST that names every fault; unknown keys are faults. */
export function checkIntakeRequest(request: unknown): IntakeOptions {
  const checked = intakeOptions.safeParse(request)
  if (!checked.success) {
    const faults = checked.error.issues.map((issue) => {
      const at = issue.path.join('.')
      if (issue.code !== 'unrecognized_keys') return `${at === '' ? 'the bridge' : at}: ${issue.message}`
      return `unknown: ${issue.keys.join(', ')} (known of a bridge in: ${Object.keys(intakeOptions.shape).join(', ')})`
    })
    throw new MillraceError('BAD_REQUEST', `The bridge cannot be made so. ${faults.join('; ')}.`, {
      details: { faults },
    })
  }
  const { data } = checked
  if (data.format === 'dynamodb-streams' && data.images === 'plain')
    throw new MillraceError(
      'BAD_REQUEST',
      'A record of DynamoDB Streams is DynamoDB JSON: leave images at dynamodb, or choose another format.',
    )
  if ((data.brokers === undefined) === (data.cluster === undefined))
    throw new MillraceError(
      'BAD_REQUEST',
      'A bridge names either its brokers or a cluster of the configuration: give one of brokers and cluster.',
    )
  if (data.into === `stream:${deadLettersOf(data)}`)
    throw new MillraceError('BAD_REQUEST', 'What cannot be stored would go where everything else goes.', {
      remedy: 'Choose another stream for deadLetters.',
    })
  return data
}

export interface IntakeTarget {
  readonly kind: 'stream' | 'table'
  readonly name: string
}

export function intoOf({ into }: Pick<IntakeOptions, 'into'>): IntakeTarget {
  const [, kind, name] = target.exec(into) as unknown as [string, IntakeTarget['kind'], string]
  return { kind, name }
}
