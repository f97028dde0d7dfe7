import { z } from 'zod'
import { triggerSchema } from './triggers.js'

/** A function's name, as Lambda has them. */
export const functionNameForm = /^[A-Za-z0-9_-]{1,64}$/

/** Fifteen minutes, as on AWS. */
export const functionTimeoutMsMax = 900_000
export const functionMemoryMbMax = 10_240
/** Less than this does not hold the AWS SDK. */
export const functionMemoryMbMin = 64
export const functionConcurrencyMax = 256

/** How a function runs: what the configuration, `/v1/functions` and the command may say of it. */
const settings = {
  description: z.string().max(256).default('').describe('What it is for, in words.'),
  handler: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe('The exported function: its name in a file (handler by default), FILE.NAME in a folder (index.handler).'),
  timeoutMs: z
    .int()
    .min(1)
    .max(functionTimeoutMsMax)
    .default(3000)
    .describe('Time that one call may take; then its thread is ended.'),
  memoryMb: z
    .int()
    .min(functionMemoryMbMin)
    .max(functionMemoryMbMax)
    .default(128)
    .describe('Heap of one of its threads, and what it may hold outside of the heap beside it, MiB.'),
  concurrency: z
    .int()
    .min(1)
    .max(functionConcurrencyMax)
    .default(4)
    .describe('Calls that may run at one time, each on a thread of its own.'),
  environment: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]*$/, { error: 'is no name of a variable' }), z.coerce.string())
    .default({})
    .describe('Variables of its environment.')
    .meta({ isSecret: true }),
  failOnUnhandledSdkError: z
    .boolean()
    .default(false)
    .describe('Whether a call fails that succeeded although requests of the AWS SDK in it have failed.'),
} as const

export const functionSettingsSchema = z.strictObject(settings)

/** A function of the configuration. */
export const functionSchema = z.strictObject({
  path: z.string().min(1).describe('The file or folder of its code, relative to the configuration file.'),
  triggers: z
    .array(triggerSchema)
    .refine((triggers) => new Set(triggers.map(({ table }) => table)).size === triggers.length, {
      error: 'name a table twice: a function has one trigger of a table',
    })
    .default([])
    .describe('What calls it with the changes of tables.'),
  ...settings,
})

export type FunctionSettingsInput = z.input<typeof functionSettingsSchema>
export type FunctionSettings = z.output<typeof functionSettingsSchema>
export type ConfiguredFunction = z.output<typeof functionSchema>
