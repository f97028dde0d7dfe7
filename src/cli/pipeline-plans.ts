import type { Command } from 'commander'
import type { PlanDescription } from '../operators/plan/index.js'
import { MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { note, printJson } from './output.js'

/** What can be said of a module before it is deployed: `check` without a daemon, `diff` against what runs in one. */
export function registerPlanCommands(pipelines: Command): void {
  pipelines
    .command('check <file>')
    .description('check the pipeline that a module exports and show its topology; no daemon is asked')
    .action(async (file: string, _options: object, command: Command) => {
      const { describeModule } = await import('../workers/index.js')
      const plan = await describeModule(file)
      if (globals(command).json) return printJson(plan)
      const { topologyText } = await import('../operators/plan/index.js')
      const onError = plan.onError ? `  (onError: ${plan.onError})` : ''
      process.stdout.write(`${plan.name}${onError}\n${topologyText(plan)}\n`)
    })
  pipelines
    .command('diff <file>')
    .description('compare the pipeline that a module exports with the one that is deployed under its name')
    .action(async (file: string, _options: object, command: Command) => {
      const { describeModule } = await import('../workers/index.js')
      const plan = await describeModule(file)
      const { checkRedeploy, differenceText, diffPlans } = await import('../operators/plan/index.js')
      const deployed = await deployedPlan(new Client(globals(command)), plan.name)
      const changes = diffPlans(deployed ?? { version: 2, name: plan.name, nodes: [] }, plan)
      if (globals(command).json) printJson({ name: plan.name, isDeployed: deployed !== undefined, changes })
      else {
        if (!deployed) note(`${plan.name} is not deployed: all of it is new`)
        else if (deployed.onError !== plan.onError) note(`onError: ${saidOf(deployed)} becomes ${saidOf(plan)}`)
        process.stdout.write(`${differenceText(changes)}\n`)
      }
      if (deployed) checkRedeploy(deployed, plan)
    })
}

const saidOf = ({ onError }: PlanDescription): string => onError ?? 'that of the daemon'

async function deployedPlan(client: Client, name: string): Promise<PlanDescription | undefined> {
  try {
    return (await client.call<{ plan: PlanDescription }>('GET', `pipelines/${encodeURIComponent(name)}`)).plan
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}
