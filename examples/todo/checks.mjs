// What the application must do, tried through the page's own server as a browser would.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is expected comes by and by; after so long it does not come any more. */
const waitMsMax = 60_000

export async function check(address, print) {
  const ask = async (path, body) => {
    const options = body && { method: 'POST', headers: { 'content-type': 'application/json' } }
    const response = await fetch(new URL(path, address), body && { ...options, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path} answered ${response.status} ${await response.text()}`)
    return response.json()
  }
  const { lists, regions } = await ask('/api/lists')
  const [here, there] = regions
  const [list, other] = lists.map(({ ListId }) => ListId)
  const add = (region, list, description, more) => ask('/api/tasks/add', { region, list, description, ...more })
  const states = (list) => ask(`/api/list?list=${list}`)

  const plan = await add(here, list, 'Plan the week')
  const call = await add(there, list, 'Call the bank')
  const milk = await add(there, other, 'Buy milk')
  const tasksAre = (list, ...expected) =>
    eventually(async () => {
      for (const { tasks, count, countByTrigger } of await states(list)) {
        assert.deepEqual(tasks.map(({ Description }) => Description).sort(), expected)
        assert.deepEqual({ count, countByTrigger }, { count: expected.length, countByTrigger: expected.length })
      }
    })
  await tasksAre(list, 'Call the bank', 'Plan the week')
  await tasksAre(other, 'Buy milk')
  print(
    `tasks that were added in ${here} and ${there} are in both, and counted in both, by the pipeline and by the trigger`,
  )

  await ask('/api/tasks/done', { region: there, list, task: plan.TaskId, isDone: true })
  await eventually(async () => {
    for (const { tasks } of await states(list))
      assert.equal(tasks.find(({ TaskId }) => TaskId === plan.TaskId).Done, true)
  })
  print(`a task of ${here} that was done in ${there} is done in both`)

  for (const region of regions)
    await eventually(async () => {
      const found = await ask(`/api/search?${new URLSearchParams({ region, list, words: 'plan' })}`)
      assert.deepEqual(
        found.map(({ Description }) => Description),
        ['Plan the week'],
      )
    })
  print('both regions find it by a word')

  await add(here, list, 'Water the plants', { expiresIn: 1 })
  await ask('/api/tasks/remove', { region: there, list, task: call.TaskId })
  await eventually(async () => {
    for (const { archived } of await states(list))
      assert.deepEqual(
        archived.map(({ Description }) => Description),
        ['Water the plants'],
      )
  })
  await tasksAre(list, 'Plan the week')
  print('a task that expired is in the archive of both regions, and one that a user removed is not')

  await ask('/api/tasks/remove', { region: here, list, task: plan.TaskId })
  await ask('/api/tasks/remove', { region: here, list: other, task: milk.TaskId })
  for (const each of [list, other]) await tasksAre(each)
  return { regions, archived: 1 }
}

async function eventually(holds) {
  for (const until = Date.now() + waitMsMax; ; await sleep(50)) {
    try {
      return await holds()
    } catch (error) {
      if (Date.now() > until) throw error
    }
  }
}
