// Asking and reading.
import assert from 'node:assert/strict';
import { choose, finished, rows, search, typed, write } from '../lib/browser.mjs';
import { eventually } from '../lib/cluster.mjs';
import { longestTask } from '../lib/work.mjs';

const MANY = 12_000;
const LONG_TASK_MS_MAX = 200; /* of a processor */

/** Changes the JSON answers of a path before the page sees them. */
async function change(page, pattern, edit) {
    await page.route(pattern, async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: edit(await response.json()) });
    });
}

async function scrollThroughMany(page) {
    await search(page, 'tag=many');
    await page.getByText(`${MANY.toLocaleString('en-US')} entries in`).waitFor();
    await rows(page).first().focus();
    await page.keyboard.press('End');
    const last = page.locator(`button[data-row="${MANY - 1}"][aria-disabled=false]`);
    await last.waitFor();
    assert.match(await last.innerText(), /entry number \d+ of many/);
    for (let step = 0; step < 40; step++) {
        await page.mouse.move(600, 600);
        await page.mouse.wheel(0, step % 2 ? -9000 : 7000);
    }
    await page.keyboard.press('Home');
    await page.locator('button[data-row="0"][aria-disabled=false]').waitFor();
    assert.ok(
        (await page.locator('button[data-row]').count()) < 120,
        'only rows near the view are in the document',
    );
}

export const scenarios = {
    async a_search_shows_entries_that_open(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, 'tag=gravwell');
        const first = rows(page).first();
        await first.waitFor();
        const text = await first.innerText();
        assert.match(text, /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}/, 'a row shows the time');
        assert.match(text, /gravwell/, 'a row shows the tag');
        assert.match(text, /127\.0\.0\.1|::1/, 'a row shows the source');
        await first.focus();
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        const whole = page.getByLabel('Entry', { exact: true });
        await whole.waitFor();
        assert.match(await whole.innerText(), /^<\d+>1 /, 'an opened entry shows all of its data');
        assert.equal(await rows(page).nth(1).getAttribute('aria-expanded'), 'true');
    },

    async the_search_is_in_the_history_of_the_other_webserver(tabs, cluster) {
        const query = `tag=gravwell grep "history of ${Date.now()}"`;
        const there = await tabs.login(cluster.webservers[1], { hash: '#/history' });
        await there.getByRole('heading', { name: 'Search history' }).waitFor();
        const here = await tabs.login(cluster.webservers[0]);
        await search(here, query, 'Last hour');
        // The page there finds out by itself.
        const row = await there.getByRole('button', { name: query }).elementHandle();
        const next = `tag=gravwell limit 1 // ${Date.now()}`;
        await search(here, next, 'Last hour');
        await there.getByRole('button', { name: next }).waitFor();
        // What is new is put before the others, and they stay what they are; a click runs one there.
        await row.click();
        await finished(there);
        assert.equal(await typed(there), query);
    },

    async every_run_is_one_search(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const launched = [];
        page.on('request', (request) => {
            if (request.url().endsWith('/launch')) {
                launched.push(JSON.parse(request.postData()).SearchString);
            }
        });
        await search(page, 'tag=gravwell limit 1', 'Last hour');
        await search(page, 'tag=gravwell limit 2', 'Last hour');
        await search(page, 'tag=gravwell limit 2', 'Last hour');
        await page.getByRole('link', { name: 'History' }).click();
        await page.getByRole('link', { name: 'Search' }).first().click();
        await finished(page); /* the same results, not another search */
        await page.goBack();
        await page.goBack();
        await page.goBack();
        await page.getByText('1 entry in').waitFor();
        const [one, two] = ['tag=gravwell limit 1', 'tag=gravwell limit 2'];
        assert.deepEqual(launched, [one, two, two, one]);
    },

    async many_results_scroll_without_long_tasks(tabs, cluster) {
        cluster.ingest(
            'many',
            Array.from(
                { length: MANY },
                (_, i) => `entry number ${i} of many ${'x'.repeat(i % 200)}`,
            ),
        );
        const page = await tabs.login(cluster.webservers[0]);
        const longest = await longestTask(page, () => scrollThroughMany(page));
        assert.ok(longest < LONG_TASK_MS_MAX * tabs.slow, `${longest} ms of work at once`);
    },

    async dragging_over_the_histogram_zooms(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, 'tag=gravwell', 'Last hour');
        await rows(page).first().waitFor();
        const all = Number(
            (await page.locator('.summary strong').innerText()).replace(/\D.*$/, ''),
        );
        const box = await page.getByRole('application').boundingBox();
        await page.mouse.move(box.x + box.width * 0.25, box.y + 30);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.5, box.y + 30, { steps: 4 });
        await page.mouse.up();
        await page.waitForURL(/t=\d{4}-\d\d-\d\dT/);
        await finished(page);
        const picked = decodeURIComponent(new URL(page.url()).hash.match(/t=([^&]*)/)[1])
            .split('..')
            .map(Date.parse);
        assert.ok(
            picked[1] - picked[0] > 14 * 60_000 && picked[1] - picked[0] < 17 * 60_000,
            'a quarter of the hour',
        );
        // Back is back.
        await page.goBack();
        await page.getByRole('button', { name: 'Time range: Last hour' }).waitFor();
        await finished(page);
        const again = Number(
            (await page.locator('.summary strong').innerText()).replace(/\D.*$/, ''),
        );
        assert.ok(again >= all);
    },

    async a_running_search_can_be_cancelled(tabs, cluster) {
        tabs.allow(
            /status of 400 .*\/stop/,
        ); /* it has long ended: the page is only told that it has not */
        const page = await tabs.login(cluster.webservers[0]);
        await change(page, /\/stats\?/, (answer) => ({ ...answer, Finished: false }));
        await choose(page, 'All time');
        await write(page, 'tag=gravwell');
        await page.keyboard.press('Control+Enter');
        await page.getByText('so far').waitFor();
        const stopped = page.waitForRequest(
            (request) => request.method() === 'PUT' && request.url().endsWith('/stop'),
        );
        await page.getByRole('button', { name: 'Cancel' }).click();
        await stopped;
        await page.getByText(/then stopped after/).waitFor();
        await rows(page).first().waitFor();
    },

    async a_search_outlives_a_lost_connection(tabs, cluster) {
        tabs.allow(/ERR_CONNECTION|ERR_INTERNET|status of 502/);
        const page = await tabs.login(cluster.webservers[0]);
        let lost = 0;
        await page.route(/\/stats\?/, (route) => {
            lost++;
            return lost < 3
                ? route.abort('connectionreset')
                : lost === 3
                  ? route.fulfill({ status: 502, body: '<html>Bad gateway</html>' })
                  : route.continue();
        });
        await search(page, 'tag=gravwell limit 7', 'Last hour');
        await page.getByText('7 entries in').waitFor();
        await rows(page).first().waitFor();
        assert.ok(lost > 3);
    },

    async a_query_of_the_history_is_found_and_edited(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const query = `tag=gravwell grep needle${process.pid}${Date.now()}`;
        let launched = 0;
        page.on('request', (request) => (launched += request.url().endsWith('/launch') ? 1 : 0));
        await search(page, query, 'Last hour');
        await write(page, 'something else');
        await page.getByRole('link', { name: 'History' }).click();
        await page.getByRole('searchbox', { name: 'Filter the history' }).fill(query.slice(9));
        await page.getByRole('button', { name: 'Edit the query' }).click();
        await page.locator('.cm-editor').waitFor();
        await eventually('it is in the editor', async () => (await typed(page)) === query);
        assert.equal(launched, 1, 'and has not run');
    },

    async what_a_search_warns_about_is_shown(tabs, cluster) {
        const warning =
            'the indexer 192.0.2.7:9404 does not answer: its entries are missing <b>here</b>';
        const page = await tabs.login(cluster.webservers[0]);
        await change(page, /\/stats\?/, (answer) => ({
            ...answer,
            Messages: [{ ID: 1, Severity: 'warn', Value: warning }],
        }));
        await search(page, 'tag=gravwell');
        await page.getByRole('alert').getByText(warning).waitFor();
    },

    async a_search_without_results_helps_on(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await search(page, 'tag=gravwell grep "no line has this in it"', 'Last 15 minutes');
        await page.getByRole('heading', { name: 'No entries here' }).waitFor();
        await page.getByRole('button', { name: 'Last 7 days', exact: true }).click();
        await finished(page);
        await page.getByRole('button', { name: 'Time range: Last 7 days' }).waitFor();
    },

    async a_newcomer_is_shown_how_to_send_the_first_lines(tabs, cluster) {
        const page = await tabs.open(cluster.webservers[0]);
        await page.route('**/api/tags', (route) =>
            route.fulfill({ json: ['default', 'gravwell'] }),
        );
        await page.getByLabel('Password').fill('changeme');
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { name: 'Send the first log lines' }).waitFor();
        const command = await page
            .locator('code')
            .filter({ hasText: 'aquifer ingest --' })
            .first()
            .innerText();
        assert.match(command, /aquifer ingest --indexer 127\.0\.0\.1:\d+ --tag first -$/);
        await page.getByRole('button', { name: 'Copy the command' }).first().click();
        await page.getByText('Command copied.').waitFor();
        await tabs.shot(page, 'newcomer');
    },
};
