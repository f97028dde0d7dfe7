// The page: one column a region, each as its own daemon has it. Asks again and again, and changes what has changed.
const everyMs = 400
const main = document.querySelector('#regions')
const message = document.querySelector('#message')
/** By name of the region: its section, and the elements of its tasks by their ids. */
const shown = new Map()
let list
/** Answers that were asked for before the list was changed are of no use. */
let round = 0

const { lists, regions } = await ask('/api/lists')
for (const region of regions) main.append(sectionOf(region))
for (const { ListId, Name } of lists) document.querySelector('#lists').append(choiceOf(ListId, Name))
show(lists[0].ListId)
follow()

async function ask(path, body) {
  const response = await fetch(
    path,
    body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  )
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.message ?? 'The server does not answer.')
  return answer
}

/** Does what was asked for, and says what became of it. */
async function act(path, body, done) {
  // What was asked for before shows how it was before.
  round++
  try {
    await ask(path, { ...body, list })
    say(done)
    await refresh()
  } catch (error) {
    say(error.message, true)
  }
}

function say(text, isRefused = false) {
  message.textContent = text
  message.classList.toggle('refused', isRefused)
}

function choiceOf(id, name) {
  const label = document.createElement('label')
  const input = document.createElement('input')
  Object.assign(input, { type: 'radio', name: 'list', value: id, checked: id === lists[0].ListId })
  input.addEventListener('change', () => show(id))
  label.append(input, ` ${name}`)
  return label
}

function show(id) {
  list = id
  round++
  for (const { section } of shown.values()) section.querySelector('.search').reset()
  refresh().catch((error) => say(error.message, true))
}

async function follow() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, everyMs))
    if (document.hidden) continue
    await refresh().catch((error) => say(error.message, true))
  }
}

async function refresh() {
  const asked = ++round
  const answers = await ask(`/api/list?list=${list}`)
  if (asked !== round) return
  for (const answer of answers) showRegion(answer)
  await Promise.all([...shown.keys()].map(search))
}

function sectionOf(region) {
  const section = document.querySelector('#region').content.cloneNode(true).firstElementChild
  const heading = section.querySelector('h2')
  heading.textContent = region
  heading.id = `region-${region}`
  section.setAttribute('aria-labelledby', heading.id)
  shown.set(region, { section, tasks: new Map(), archived: new Map() })
  const add = section.querySelector('.add')
  add.addEventListener('submit', (event) => {
    event.preventDefault()
    const { description, expiresIn } = add.elements
    const body = { region, description: description.value }
    if (expiresIn.value !== '') body.expiresIn = Number(expiresIn.value)
    act('/api/tasks/add', body, `Added in ${region}: ${description.value}`)
    description.value = ''
    description.focus()
  })
  const words = section.querySelector('.search')
  words.addEventListener('submit', (event) => event.preventDefault())
  words.addEventListener('input', () => search(region))
  return section
}

function showRegion({ region, isAway = false, tasks = [], archived = [], count, countByTrigger }) {
  const { section, ...known } = shown.get(region)
  section.querySelector('.away').hidden = !isAway
  if (isAway) return
  const [total, byTrigger] = section.querySelector('.count').children
  change(total, count === 1 ? '1 task' : `${count} tasks`)
  change(byTrigger, `by the pipeline; ${countByTrigger} by the trigger`)
  reconcile(section.querySelector('.tasks'), known.tasks, tasks, (task) => taskOf(region, task), showTask)
  reconcile(section.querySelector('.archived'), known.archived, archived, archivedOf, () => {})
  section.querySelector('.none').hidden = archived.length > 0
}

/** Elements stay where their item stays, so that no focus is lost. */
function reconcile(parent, known, items, make, update) {
  const ids = new Set(items.map(({ TaskId }) => TaskId))
  for (const [id, element] of known) {
    if (ids.has(id)) continue
    const next = element.nextElementSibling ?? element.previousElementSibling
    if (element.contains(document.activeElement)) next?.querySelector('button')?.focus()
    element.remove()
    known.delete(id)
  }
  items.forEach((item, at) => {
    const element = known.get(item.TaskId) ?? make(item)
    known.set(item.TaskId, element)
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] ?? null)
    update(element, item)
  })
}

function taskOf(region, { TaskId: task, Description: words }) {
  const element = document.querySelector('#task').content.cloneNode(true).firstElementChild
  const box = element.querySelector('input')
  const button = element.querySelector('button')
  button.setAttribute('aria-label', `Remove ${words}`)
  box.addEventListener('change', () => {
    act('/api/tasks/done', { region, task, isDone: box.checked }, `${box.checked ? 'Done' : 'To do again'}: ${words}`)
  })
  button.addEventListener('click', () => act('/api/tasks/remove', { region, task }, `Removed: ${words}`))
  return element
}

function showTask(element, { Description, Done = false, ExpiresAt }) {
  change(element.querySelector('.words'), Description)
  element.classList.toggle('done', Done)
  element.querySelector('input').checked = Done
  change(element.querySelector('.expiry'), ExpiresAt === undefined ? '' : leftUntil(ExpiresAt))
}

function leftUntil(seconds) {
  const left = Math.max(0, Math.ceil(seconds - Date.now() / 1000))
  if (left === 0) return 'expires now'
  const [amount, unit] =
    left < 120 ? [left, 's'] : left < 7200 ? [Math.round(left / 60), 'min'] : [Math.round(left / 3600), 'h']
  return `expires in ${amount} ${unit}`
}

function archivedOf({ Description }) {
  const element = document.createElement('li')
  element.textContent = Description
  return element
}

async function search(region) {
  const { section } = shown.get(region)
  const form = section.querySelector('.search')
  const words = form.elements.words.value.trim()
  const of = list
  const hits = words === '' ? [] : await ask(`/api/search?${new URLSearchParams({ region, list, words })}`)
  // The words or the list may have changed while the answer was on its way.
  if (of !== list || words !== form.elements.words.value.trim()) return
  change(
    section.querySelector('.found'),
    words === '' ? '' : hits.length === 1 ? '1 task found' : `${hits.length} tasks found`,
  )
  const texts = hits.map(({ Description }) => Description)
  const found = section.querySelector('.hits')
  if (texts.join('\n') === [...found.children].map(({ textContent }) => textContent).join('\n')) return
  found.replaceChildren(
    ...texts.map((text) => {
      const element = document.createElement('li')
      element.textContent = text
      return element
    }),
  )
}

/** A text that stays as it is must not be said again by a screen reader. */
function change(element, text) {
  if (element.textContent !== text) element.textContent = text
}
