import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { StringDecoder } from 'node:string_decoder'
import { type Command, InvalidArgumentError } from 'commander'
import { MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { registerMappings } from './mappings.js'
import { printDone, printJson, printList, printOne } from './output.js'
import { wholeNumber } from './whole-number.js'

interface FunctionView {
  readonly name: string
  readonly path?: string
  readonly code: { readonly origin: string; readonly entry?: string }
  readonly handler: string
  readonly settings: { readonly timeoutMs: number; readonly memoryMb: number; readonly concurrency: number }
  readonly counts: { readonly invocations: number; readonly errors: number }
}

interface Settings {
  readonly path?: string
  readonly there?: boolean
  readonly handler?: string
  readonly description?: string
  readonly env?: Readonly<Record<string, string>>
  readonly timeout?: number
  readonly memory?: number
  readonly concurrency?: number
  readonly failOnSdkError?: boolean
}

export function registerFunctions(program: Command): void {
  const functions = program.command('functions').description('functions: handlers as AWS Lambda runs them')
  registerMappings(functions)
  withSettings(functions.command('create <name>').description('make a function of a file or folder')).action(
    async (name: string, options: Settings, command: Command) => {
      if (options.path === undefined) throw new MillraceError('USAGE', 'A function has --path.')
      const body = { name, ...(await bodyOf(options)) }
      printOne(await new Client(globals(command)).call('POST', 'functions', body), globals(command).json)
    },
  )
  functions
    .command('list', { isDefault: true })
    .description('all functions')
    .action(async (_options: object, command: Command) => {
      const { functions: rows } = await new Client(globals(command)).call<{ functions: FunctionView[] }>(
        'GET',
        'functions',
      )
      const shown = rows.map(({ name, handler, settings, counts }) => ({
        function: name,
        handler,
        'time limit': `${settings.timeoutMs} ms`,
        memory: `${settings.memoryMb} MB`,
        concurrency: settings.concurrency,
        calls: counts.invocations,
        errors: counts.errors,
      }))
      printList('functions', rows, shown, globals(command).json)
    })
  functions
    .command('show <name>')
    .description('one function')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(await new Client(globals(command)).call('GET', pathOf(name)), globals(command).json)
    })
  withSettings(
    functions.command('update <name>').description('change a function, or (without options) read its code again'),
  ).action(async (name: string, options: Settings, command: Command) => {
    const client = new Client(globals(command))
    const isAgain = Object.keys(options).length === 0
    const body = isAgain ? await codeAgain(await client.call('GET', pathOf(name))) : await bodyOf(options)
    printOne(await client.call('PATCH', pathOf(name), body), globals(command).json)
  })
  functions
    .command('delete <name>')
    .description('remove a function and its log')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(await new Client(globals(command)).call('DELETE', pathOf(name)), globals(command).json)
    })
  functions
    .command('invoke <name>')
    .description('call a function and print what it gave; exit code 1 when it failed')
    .option('--payload <json>', 'the event, or @FILE', '{}')
    .action(async (name: string, { payload }: { payload: string }, command: Command) => {
      await invoke(new Client(globals(command)), name, payload, globals(command).json)
    })
  functions
    .command('logs <name>')
    .description('print the newest lines of the log of a function')
    .option('-f, --follow', 'go on with what comes')
    .option('--bytes <n>', 'so many bytes of what is there, at most (default: 65536)', wholeNumber)
    .action(async (name: string, options: LogOptions, command: Command) => {
      await printLog(new Client(globals(command)), name, options, globals(command).json)
    })
}

const pathOf = (name: string): string => `functions/${encodeURIComponent(name)}`

function withSettings(command: Command): Command {
  return command
    .option('--path <path>', 'file or folder of its code')
    .option('--there', 'the path is one of the machine that the daemon runs on, which reads it')
    .option(
      '--handler <name>',
      'the exported function: NAME in a file (handler by default), FILE.NAME in a folder (index.handler)',
    )
    .option('--description <text>', 'what it is for')
    .option('--env <name=value>', 'a variable of its environment; may be repeated', pair)
    .option('--timeout <ms>', 'time that one call may take (default: 3000)', wholeNumber)
    .option('--memory <mb>', 'memory of one thread, MB (default: 128)', wholeNumber)
    .option('--concurrency <n>', 'calls at one time (default: 4)', wholeNumber)
    .option('--fail-on-sdk-error', 'a call fails in which requests of the AWS SDK have failed')
}

/** The files are read here: the daemon may be on another machine. */
async function bodyOf({ path, there, env, timeout, memory, failOnSdkError, ...rest }: Settings): Promise<object> {
  const settings = {
    ...rest,
    environment: env,
    timeoutMs: timeout,
    memoryMb: memory,
    failOnUnhandledSdkError: failOnSdkError,
  }
  if (path === undefined) return settings
  if (there) return { ...settings, path }
  const { collectCode } = await import('../functions/index.js')
  const { files, entry, origin } = await collectCode(resolve(path), {
    codeBytesMax: sentBytesMax,
    codeFilesMax: 100_000,
  })
  const sent = files.map((file) => ({ path: file.path, content: file.content.toString('base64') }))
  return { ...settings, files: sent, entry, origin }
}

/** The code of a function as it is now: what was sent is read here, where it came from, the rest by the daemon. */
const codeAgain = ({ path, code }: FunctionView): Promise<object> =>
  bodyOf(path === undefined ? { path: join(code.origin, code.entry ?? '') } : {})

/** What fits into the largest body that a daemon takes by default, in base64. */
const sentBytesMax = 11 * 1024 * 1024

interface Answer {
  readonly payload: unknown
  readonly functionError?: string
  readonly log: string
}

async function invoke(client: Client, name: string, payload: string, json: boolean): Promise<void> {
  const event = payload.startsWith('@') ? fileText(payload.slice(1)) : payload
  const answer = await client.send<Answer>('POST', `${pathOf(name)}/invoke`, 'application/json', Buffer.from(event))
  if (json) printJson(answer)
  else {
    process.stderr.write(answer.log)
    printDone(JSON.stringify(answer.payload), answer, false)
  }
  if (answer.functionError !== undefined) process.exitCode = 1
}

interface LogOptions {
  readonly follow?: boolean
  readonly bytes?: number
}

async function printLog(client: Client, name: string, { follow, bytes }: LogOptions, json: boolean): Promise<void> {
  const query = new URLSearchParams({
    ...(follow ? { follow: 'true' } : {}),
    ...(bytes === undefined ? {} : { bytes: String(bytes) }),
  })
  const decoder = new StringDecoder()
  let begun = ''
  for await (const piece of client.receive(`${pathOf(name)}/logs?${query}`, 'text/plain')) {
    const text = decoder.write(piece)
    if (!json) {
      process.stdout.write(text)
      continue
    }
    const lines = (begun + text).split('\n')
    begun = lines.pop() as string
    for (const line of lines) if (line !== '') printJson({ line })
  }
}

function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new MillraceError('USAGE', `The event ${file} cannot be read: ${(error as Error).message}.`)
  }
}

/** Collects NAME=VALUE of an option that may be repeated. */
function pair(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It is NAME=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}
