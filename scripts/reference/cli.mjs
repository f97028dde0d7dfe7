import { buildProgram } from '../../dist/cli/program.js'
import { code, page, table } from './markdown.mjs'

function usage(command) {
  const names = []
  for (let each = command; each; each = each.parent) names.unshift(each.name())
  const parameters = command.registeredArguments.map((argument) =>
    argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
  )
  return [...names, ...parameters].join(' ')
}

const optionRows = (command) =>
  command.options.map((option) => {
    const initial = option.defaultValue === undefined || option.negate ? '' : ` (default: ${option.defaultValue})`
    return [code(option.flags), `${option.description}${option.mandatory ? ' (required)' : ''}${initial}`]
  })

function part(command) {
  const isDefault = command.parent?._defaultCommandName === command.name()
  const lines = [
    `### ${code(usage(command))}`,
    `${sentence(command.description())}${isDefault ? ` ${byDefault(command)}` : ''}`,
  ]
  if (command.options.length > 0) lines.push(table(['option', 'what it does'], optionRows(command)))
  return lines.join('\n\n')
}

const byDefault = (command) => `The word ${code(command.name())} may be left out.`
const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`

export async function cliPage() {
  const program = await buildProgram()
  const parts = program.commands.flatMap((command) =>
    command.commands.length === 0
      ? [part(command)]
      : [
          `## ${code(`millrace ${command.name()}`)}\n\n${sentence(command.description())}`,
          ...command.commands.map(part),
        ],
  )
  return page(
    'The command',
    `${code('millrace COMMAND')}; from a checkout ${code('npm run -s millrace -- COMMAND')}. ${code('--help')} behind any command prints its usage.`,
    `Results go to standard output, everything else to standard error. The exit code is 0 when it is done, 1 when it failed
and 2 for wrong usage; errors say what happened, what to do, and a code of [errors](errors.md). No command asks a question.
With ${code('--json')} results are one JSON document (or one a line for ${code('tail')}), and an error is the JSON that the native API
would answer with. Colour and progress bars appear only on a terminal; ${code('NO_COLOR')} is heeded.`,
    `## Options of every command`,
    table(['option', 'what it does'], optionRows(program)),
    `${code('MILLRACE_URL')} and ${code('MILLRACE_CONFIG')} stand for ${code('--url')} and ${code('--config')}. Every setting has a variable of its own:
[configuration](configuration.md).`,
    `${code('millrace serve')} prints one line, ${code('millrace ready http://HOST:PORT')}, when it is ready. SIGTERM, SIGINT or SIGHUP stops it: what is
in flight is finished, the store is synced and the exit code is 0. A second SIGTERM or SIGINT ends it at once with 1; nothing that
was acknowledged is lost by that either.`,
    '## Commands',
    ...parts,
  )
}
