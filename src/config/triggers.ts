import { z } from 'zod'

/**
 * What calls a function with the changes of a table: an event source mapping, with the parameters that AWS has for it. Whether
 * patterns and destinations are right is found when the daemon makes the mapping.
 */
export const triggerSchema = z.strictObject({
  table: z.string().min(1).describe('The table; its AWS stream must be on.'),
  startingPosition: z
    .enum(['TRIM_HORIZON', 'LATEST'])
    .default('TRIM_HORIZON')
    .describe('Where the trigger begins: at the oldest record of the stream, or behind the newest.'),
  enabled: z.boolean().default(true).describe('false: it keeps its position and calls nothing.'),
  batchSize: z.int().min(1).max(10_000).default(100).describe('Records of one call at most.'),
  maximumBatchingWindowInSeconds: z
    .int()
    .min(0)
    .max(300)
    .default(0)
    .describe('How long a batch that is not full waits for more records.'),
  parallelizationFactor: z
    .int()
    .min(1)
    .max(10)
    .default(1)
    .describe('Batches of one shard at one time; records of an item stay in their order.'),
  maximumRetryAttempts: z
    .int()
    .min(-1)
    .max(10_000)
    .default(-1)
    .describe('Attempts after the first one that fails; -1: until it succeeds.'),
  maximumRecordAgeInSeconds: z
    .int()
    .min(-1)
    .max(604_800)
    .refine((seconds) => seconds < 0 || seconds >= 60, { error: 'is -1, or at least 60' })
    .default(-1)
    .describe('Older records are given up; -1: none are.'),
  bisectBatchOnFunctionError: z.boolean().default(false).describe('A batch that fails is halved and tried again.'),
  functionResponseTypes: z
    .array(z.enum(['ReportBatchItemFailures']))
    .max(1)
    .default([])
    .describe('ReportBatchItemFailures: the function may say which records have failed.'),
  tumblingWindowInSeconds: z
    .int()
    .min(0)
    .max(900)
    .default(0)
    .describe('Length of the windows over which the function carries a state; 0: none.'),
  filterCriteria: z
    .strictObject({ filters: z.array(z.strictObject({ pattern: z.string() })).default([]) })
    .optional()
    .describe('Event patterns as EventBridge has them; a record is for the function when one matches.'),
  onFailure: z
    .string()
    .optional()
    .describe(
      'Where what is given up goes: stream:NAME, table:NAME, kafka:CLUSTER/TOPIC, file:PATH, or a URL of http or https.',
    ),
})

export type ConfiguredTrigger = z.output<typeof triggerSchema>
