// Dashboards: made and arranged, looked at with variables and another time, shared as files, and
// edited by two people on two webservers at once.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import { DESKTOP, logIn, PHONE, search } from '../lib/browser.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAG = `dash${process.pid}`;
const HOSTILE = '<img src=x onerror="globalThis.pwned = 1">';

let ingested = false;
function ingestSome(cluster) {
    if (ingested) {
        return;
    }
    ingested = true;
    const now = Date.now();
    cluster.ingest(
        TAG,
        Array.from({ length: 600 }, (_, i) =>
            JSON.stringify({
                time: new Date(now - i * 5000).toISOString(),
                host: `web${i % 3}`,
                status: [200, 200, 304, 404, 500][(i * 7) % 5],
                ms: 40 + ((i * 37) % 160),
            }),
        ),
    );
}

const tile = (id, title, query, x, y, col, row, more = {}) => ({
    search: { alias: title, query },
    tile: { id, title, renderer: 'text', span: { col, row, x, y }, ...more },
});

function dataOf(tiles, more = {}) {
    return {
        searches: tiles.map((one) => one.search),
        tiles: tiles.map((one, searchesIndex) => ({ ...one.tile, searchesIndex })),
        timeframe: { durationString: 'PT1H', timeframe: 'PT1H' },
        version: 2,
        ...more,
    };
}

const SHOWCASE = [
    tile(1, 'Requests', `tag=${TAG} json host | stats count | numbercard count`, 0, 0, 3, 5),
    tile(
        2,
        'Latency by host',
        `tag=${TAG} json host ms | stats mean(ms) by host over 1m | chart mean by host`,
        3,
        0,
        9,
        9,
        { renderer: 'areachart' },
    ),
    tile(3, 'Errors', `tag=${TAG} json status | eval status >= 500`, 0, 5, 3, 4, {
        renderer: 'number',
    }),
    tile(
        4,
        'Slowest',
        `tag=${TAG} json host status ms | sort by ms desc | limit 50 | table host status ms`,
        0,
        9,
        5,
        9,
    ),
    tile(
        5,
        'By status',
        `tag=${TAG} json status | stats count by status over 1m | chart count by status`,
        5,
        9,
        4,
        9,
        { renderer: 'columnchart' },
    ),
    tile(6, 'Entries', `tag=${TAG}`, 9, 9, 3, 9),
];

async function make(cluster, token, name, data, more = {}) {
    const id = await cluster.call(cluster.webservers[0], 'POST', '/api/dashboards', token, {
        Name: name,
        Description: '',
        Data: data,
        UID: 0,
        GIDs: null,
        Global: false,
        ...more,
    });
    return Number(id);
}

async function stored(cluster, token, id, webserver = 0) {
    return JSON.parse(
        await cluster.call(cluster.webservers[webserver], 'GET', `/api/dashboards/${id}`, token),
    );
}

async function show(page, id, view = '') {
    await page.evaluate((hash) => (location.hash = hash), `#/dashboards/${id}${view}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
}

const tileOf = (page, title) => page.getByRole('region', { name: title, exact: true });

async function settled(page) {
    await page.locator('.tile').first().waitFor();
    await eventually(
        'no tile is busy',
        async () => (await page.locator('.tile[aria-busy=true]').count()) === 0,
        20_000,
    );
}

async function menu(page, of, item) {
    await page.getByRole('button', { name: of, exact: true }).click();
    await page.getByRole('button', { name: item, exact: true }).click();
}

async function findings(page, where) {
    await page.evaluate(AXE);
    const result = await page.evaluate(() =>
        globalThis.axe.run(document, { resultTypes: ['violations'] }),
    );
    return result.violations.map(
        (v) => `${where}: ${v.id} (${v.impact}): ${v.nodes.map((n) => n.html).join('; ')}`,
    );
}

export const scenarios = {
    async a_dashboard_is_made_from_nothing_and_is_on_the_other_webserver(tabs, cluster) {
        ingestSome(cluster);
        const name = `Web ${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/dashboards' });
        await page.getByRole('button', { name: 'New dashboard' }).first().click();
        const made = page.getByRole('dialog', { name: 'New dashboard' });
        await made.getByLabel('Name').fill(name);
        await made.getByRole('button', { name: 'Create' }).click();
        await page.getByRole('heading', { name, level: 1 }).waitFor();
        await page.getByText('An empty dashboard').waitFor();
        await tabs.shot(page, 'dashboard-empty');

        await page.getByRole('button', { name: 'Add a tile' }).click();
        const dialog = page.getByRole('dialog', { name: 'Add a tile' });
        await dialog.getByLabel('Title').fill('Requests');
        await dialog
            .getByRole('textbox', { name: 'Query' })
            .or(dialog.getByRole('combobox', { name: 'Query' }))
            .first()
            .fill(`tag=${TAG} limit 30`);
        await dialog.getByRole('button', { name: 'Preview' }).click();
        await dialog.locator('ol li .data').first().waitFor();
        await tabs.shot(page, 'dashboard-add-tile');
        await dialog.getByRole('button', { name: 'Add the tile' }).click();
        await tileOf(page, 'Requests').locator('ol li .data').first().waitFor();
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await page.getByText('Saved.').waitFor();

        const there = await tabs.login(cluster.webservers[1], { hash: '#/dashboards' });
        await there.getByRole('link', { name }).click();
        await tileOf(there, 'Requests').locator('ol li .data').first().waitFor();
    },

    async a_dashboard_of_another_program_or_an_older_version_is_shown_decently(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const bodies = [
            [{}, (at) => at.getByText('has no tiles yet').waitFor()],
            [
                {
                    searches: [{ alias: '<b>x</b>', query: 'tag=gravwell limit 2', searchID: 7 }],
                    tiles: [],
                    version: 1,
                },
                (at) => at.locator('ol li .data').nth(1).waitFor(),
            ],
            [
                {
                    searches: 'none',
                    tiles: [{ searchesIndex: 99 }],
                    timeframe: { timeframe: 'PT1H' },
                },
                (at) => at.getByText('This tile has no query.').waitFor(),
            ],
        ];
        for (const [Data, expected] of bodies) {
            const id = await make(cluster, token, HOSTILE, Data);
            await show(page, id);
            await page.getByRole('heading', { name: HOSTILE, level: 1 }).waitFor();
            await expected(page);
        }
        assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
    },

    async tiles_are_arranged_by_pointer_and_by_keyboard_and_it_can_be_undone(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const id = await make(
            cluster,
            token,
            'Arranged',
            dataOf([
                tile(1, 'One', `tag=${TAG} limit 3`, 0, 0, 6, 6),
                tile(2, 'Two', `tag=${TAG} limit 3`, 6, 0, 6, 6),
            ]),
        );
        await show(page, id);
        await settled(page);
        await page.getByRole('button', { name: 'Edit', exact: true }).click();

        // By pointer: the title of One is dragged onto Two; then its corner makes it smaller.
        const one = tileOf(page, 'One');
        const from = await one.boundingBox();
        const to = await tileOf(page, 'Two').boundingBox();
        await page.mouse.move(from.x + 120, from.y + 18);
        await page.mouse.down();
        await page.mouse.move(to.x + 100, to.y + 18, { steps: 6 });
        await page.locator('.ghost').waitFor();
        await tabs.shot(page, 'dashboard-dragging');
        await page.mouse.move(to.x + 121, to.y + 18, { steps: 3 });
        await page.mouse.up();
        await page
            .getByRole('status')
            .filter({ hasText: 'One: column 7, row 1' })
            .waitFor({ state: 'attached' });
        const moved = await one.boundingBox();
        assert.ok(Math.abs(moved.x - to.x) < 2, 'One is where Two was');
        const corner = [moved.x + moved.width - 6, moved.y + moved.height - 6];
        await page.mouse.move(...corner);
        await page.mouse.down();
        await page.mouse.move(corner[0] - 220, corner[1] + 100, { steps: 4 });
        await page.mouse.up();
        await page
            .getByRole('status')
            .filter({ hasText: /One: column 7, row 1, 4 wide, 8 high/ })
            .waitFor({ state: 'attached' });

        // By keyboard.
        await page.getByRole('button', { name: /^Move One/ }).focus();
        await page.keyboard.press('ArrowLeft');
        await page.keyboard.press('Shift+ArrowRight');
        await page
            .getByRole('status')
            .filter({ hasText: 'One: column 6, row 1, 5 wide' })
            .waitFor({ state: 'attached' });
        await page.getByRole('button', { name: 'Undo' }).click();
        await page.getByRole('button', { name: 'Redo' }).click();

        // Duplicate and remove, and back.
        await menu(page, 'Menu of Two', 'Duplicate');
        await tileOf(page, 'Two (copy)').waitFor();
        await menu(page, 'Menu of Two', 'Remove');
        await tileOf(page, 'Two').waitFor({ state: 'detached' });
        await page.keyboard.press('Control+z');
        await tileOf(page, 'Two').waitFor();

        await page.keyboard.press('Control+s');
        await page.getByText('Saved.').waitFor();
        const { Data } = await stored(cluster, token, id);
        assert.deepEqual(
            Data.tiles.map(({ title, span }) => [title, span.x, span.col, span.row]),
            [
                ['One', 5, 5, 8],
                ['Two', 6, 6, 6],
                ['Two (copy)', 0, 6, 6],
            ].map((row, i) => [row[0], Data.tiles[i].span.x, row[2], row[3]]),
        );
        assert.equal(Data.tiles[0].span.x, 5);
    },

    async viewers_choose_values_and_a_link_shows_the_same(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const variables = [
            { name: 'word', label: 'Word', kind: 'text', required: true },
            { name: 'status', label: 'Status', kind: 'list', options: ['200', '404'] },
            {
                name: 'host',
                label: 'Host',
                kind: 'query',
                query: `tag=${TAG} json host | unique host | sort by host | table host`,
            },
        ];
        const query = `tag=${TAG} grep %%word%% | json host status | eval host == "%%host%%" && status == $status`;
        const id = await make(
            cluster,
            token,
            'Chosen',
            dataOf([tile(1, 'Found', query, 0, 0, 12, 8)], { variables }),
        );
        await show(page, id);
        await page.getByText('Choose a value for “Word” above.').waitFor();
        await page.getByLabel('Word').fill('host');
        await page.getByLabel('Word').press('Enter');
        const found = tileOf(page, 'Found').locator('.data');
        await found.filter({ hasText: '"host":"web0","status":200' }).first().waitFor();
        await page.getByLabel('Status').selectOption('404');
        await page.getByLabel('Host').selectOption('web2');
        await found.filter({ hasText: '"host":"web2","status":404' }).first().waitFor();

        const link = page.url();
        const there = await tabs.login(cluster.webservers[1], { hash: new URL(link).hash });
        await tileOf(there, 'Found')
            .locator('.data')
            .filter({ hasText: '"host":"web2","status":404' })
            .first()
            .waitFor();
        assert.equal(await there.getByLabel('Word').inputValue(), 'host');

        // A value is a word to the query, never a part of it.
        await there.getByLabel('Word').fill(`${HOSTILE} " | limit 1`);
        await there.getByLabel('Word').press('Enter');
        await there.getByText('Nothing in this range.').waitFor();
        assert.equal(await there.evaluate(() => globalThis.pwned), undefined);

        // Declared on the page, from a name that a query mentions.
        await page.getByRole('button', { name: 'Edit', exact: true }).click();
        await page.getByRole('button', { name: 'Settings and variables' }).click();
        const dialog = page.getByRole('dialog', { name: 'Dashboard settings' });
        await dialog.getByRole('button', { name: 'Add a variable' }).click();
        await dialog
            .getByRole('group', { name: 'Variable', exact: true })
            .getByLabel('Name')
            .fill('1x');
        await dialog.getByRole('button', { name: 'Apply' }).click();
        await dialog.getByText('cannot be a variable').waitFor();
        await dialog.getByRole('group', { name: 'Variable 1x' }).getByLabel('Name').fill('level');
        await tabs.shot(page, 'dashboard-settings');
        await dialog.getByRole('button', { name: 'Apply' }).click();
        await page.getByLabel('level').waitFor();
    },

    async one_time_range_is_for_all_tiles_and_dragging_in_a_chart_narrows_it(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const data = dataOf([
            tile(
                1,
                'Chart',
                `tag=${TAG} json ms | stats mean(ms) over 1m | chart mean`,
                0,
                0,
                12,
                8,
            ),
            tile(2, 'Count', `tag=${TAG}`, 0, 8, 6, 5, { renderer: 'number' }),
            tile(3, 'Own', `tag=${TAG}`, 6, 8, 6, 5, { renderer: 'number' }),
        ]);
        data.searches[2].timeframe = { durationString: 'P7D', timeframe: 'P7D' };
        await show(page, await make(cluster, token, 'Zoomed', data));
        await settled(page);
        const number = (title) => tileOf(page, title).locator('.value').innerText();
        assert.equal(await number('Count'), '600');
        await tileOf(page, 'Own').getByText('Last 7 days').waitFor();

        const place = tileOf(page, 'Chart').locator('canvas');
        await place.waitFor();
        const box = await place.boundingBox();
        await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.8, box.y + box.height / 2, { steps: 5 });
        await page.mouse.up();
        await eventually('fewer entries', async () => Number(await number('Count')) < 400);
        assert.equal(await number('Own'), '600');
        assert.match(page.url(), /[?&]t=20\d\d/);

        // What arrives is there after a refresh, by hand or by itself.
        await page.getByRole('button', { name: /^Time range/ }).click();
        await page.getByRole('button', { name: 'Last hour', exact: true }).click();
        await eventually('all of them', async () => (await number('Count')) === '600');
        cluster.ingest(TAG, [`{"time":"${new Date().toISOString()}","late":1}`]);
        await page.getByRole('button', { name: 'Refresh now' }).click();
        await eventually('the late one', async () => (await number('Count')) === '601');
        await page.evaluate(() => (location.hash += '&r=5'));
        await page.getByRole('button', { name: 'Refresh by itself: 5 s' }).waitFor();
        cluster.ingest(TAG, [`{"time":"${new Date().toISOString()}","late":2}`]);
        await eventually('the next one', async () => (await number('Count')) === '602', 15_000);
    },

    async a_tile_fills_the_page_and_a_dashboard_the_screen(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        await show(page, await make(cluster, token, 'Shown', dataOf(SHOWCASE)));
        await settled(page);
        await menu(page, 'Menu of Latency by host', 'Full view');
        await page.getByRole('button', { name: 'Back to the dashboard' }).waitFor();
        assert.equal(await page.locator('.tile').count(), 1);
        await settled(page);
        await tabs.shot(page, 'dashboard-tile-full');
        await page.keyboard.press('Escape');
        await tileOf(page, 'Errors').waitFor();
        await menu(page, 'More about this dashboard', 'Full screen');
        await page.getByRole('banner').waitFor({ state: 'detached' });
        await settled(page);
        await tabs.shot(page, 'dashboard-kiosk');
        await page.getByRole('button', { name: 'Leave full screen' }).click();
        await page.getByRole('navigation', { name: 'Pages' }).waitFor();
        await menu(page, 'Menu of Entries', 'Open as a search');
        await page.getByText(/entr(y|ies) in /).waitFor();
    },

    async a_file_is_a_dashboard_again_and_a_bad_one_says_where(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const id = await make(cluster, token, 'Exported', dataOf(SHOWCASE), { Labels: ['file'] });
        await show(page, id);
        const coming = page.waitForEvent('download');
        await menu(page, 'More about this dashboard', 'Export as JSON');
        const download = await coming;
        assert.equal(download.suggestedFilename(), 'Exported.json');
        const text = fs.readFileSync(await download.path(), 'utf8');

        await page.getByRole('link', { name: 'Dashboards' }).click();
        await page.getByRole('button', { name: 'Import', exact: true }).click();
        const dialog = page.getByRole('dialog', { name: 'Import a dashboard' });
        await dialog.getByLabel('Or its text').fill(text.slice(0, 60));
        await dialog.getByText('this is no JSON').waitFor();
        await dialog.getByLabel('Or its text').fill(text.replace('"col": 9', '"col": 99'));
        await dialog.getByText('Data.tiles[1].span.col').waitFor();
        await tabs.shot(page, 'dashboard-import');
        await dialog.getByLabel('A file of JSON').setInputFiles({
            name: 'x.json',
            mimeType: 'application/json',
            buffer: Buffer.from(text),
        });
        await dialog.getByText('“Exported”: 6 tiles').waitFor();
        await dialog.getByRole('textbox', { name: 'Name' }).fill('Imported');
        await dialog.getByRole('button', { name: 'Import', exact: true }).click();
        await page.getByRole('heading', { name: 'Imported', level: 1 }).waitFor();
        const imported = await stored(cluster, token, Number(/(\d+)$/.exec(page.url())[1]));
        assert.deepEqual(imported.Data.tiles, (await stored(cluster, token, id)).Data.tiles);
        assert.deepEqual(imported.Labels, ['file']);
    },

    async an_edit_on_another_webserver_appears_and_a_conflict_shows_both(tabs, cluster) {
        tabs.allow(/status of 409/);
        ingestSome(cluster);
        const [here, there] = [
            await tabs.login(cluster.webservers[0]),
            await tabs.login(cluster.webservers[1]),
        ];
        const token = await tokenOf(here);
        const id = await make(
            cluster,
            token,
            'Both',
            dataOf([
                tile(1, 'Left', `tag=${TAG} limit 2`, 0, 0, 6, 6),
                tile(2, 'Right', `tag=${TAG} limit 2`, 6, 0, 6, 6),
            ]),
        );
        await show(here, id);
        await eventually('it is there', async () =>
            stored(cluster, token, id, 1).catch(() => null),
        );
        await show(there, id);

        const rename = async (page, from, to) => {
            await page.getByRole('button', { name: `Edit ${from}`, exact: true }).click();
            const dialog = page.getByRole('dialog', { name: 'Edit the tile' });
            await dialog.getByLabel('Title').fill(to);
            await dialog.getByRole('button', { name: 'Apply' }).click();
        };
        const edit = (page) => page.getByRole('button', { name: 'Edit', exact: true }).click();
        const save = (page) => page.getByRole('button', { name: 'Save', exact: true }).click();

        // Different tiles: seen there without a reload; both changes fit into one.
        await edit(there);
        await rename(there, 'Right', 'Right of there');
        await edit(here);
        await rename(here, 'Left', 'Left of here');
        await save(here);
        await here.getByText('Saved.').waitFor();
        await there.getByText('Somebody else has saved another version').waitFor();
        await there.getByRole('button', { name: 'Compare' }).click();
        const both = there.getByRole('dialog', { name: 'Somebody else was faster' });
        await both.getByRole('row', { name: /Left of here/ }).waitFor();
        await both.getByRole('button', { name: 'Keep both changes' }).click();
        await there.getByText('Saved.').waitFor();
        await tileOf(here, 'Right of there').waitFor();
        await tileOf(here, 'Left of here').waitFor();

        // The same tile: whoever is later is shown both, and loses neither.
        await edit(here);
        await rename(here, 'Left of here', 'Mine');
        await edit(there);
        await rename(there, 'Left of here', 'Theirs <b>');
        await save(there);
        await there.getByText('Saved.').waitFor();
        await save(here);
        const clash = here.getByRole('dialog', { name: 'Somebody else was faster' });
        await clash.getByText('both changed it').waitFor();
        await clash.getByRole('row', { name: /Mine.*Theirs <b>/s }).waitFor();
        assert.equal(await clash.getByRole('button', { name: 'Keep both changes' }).count(), 0);
        await tabs.shot(here, 'dashboard-conflict');
        await clash.getByRole('button', { name: 'Take theirs' }).click();
        await tileOf(here, 'Theirs <b>').waitFor();
        await here.getByRole('button', { name: 'Undo' }).click();
        await tileOf(here, 'Mine').waitFor();
        await save(here);
        await here.getByText('Saved.').waitFor();
        await tileOf(there, 'Mine').waitFor();

        // Kept as a dashboard of its own.
        await edit(there);
        await rename(there, 'Mine', 'Kept');
        await edit(here);
        await rename(here, 'Mine', 'Faster');
        await save(here);
        await here.getByText('Saved.').waitFor();
        await save(there);
        await there.getByRole('button', { name: 'Save mine as a copy' }).click();
        await there.getByRole('heading', { name: 'Both (mine)', level: 1 }).waitFor();
        await tileOf(there, 'Kept').waitFor();
        assert.equal((await stored(cluster, token, id)).Data.tiles[0].title, 'Faster');
    },

    async what_is_not_saved_outlives_the_session_and_the_page_and_leaving_asks(tabs, cluster) {
        tabs.allow(/status of 401|a dialog opened/);
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        let token = await tokenOf(page);
        const id = await make(
            cluster,
            token,
            'Typed',
            dataOf([tile(1, 'Old title', `tag=${TAG} limit 2`, 0, 0, 6, 6)]),
        );
        await show(page, id);
        await page.getByRole('button', { name: 'Edit', exact: true }).click();
        await menu(page, 'Menu of Old title', 'Duplicate');
        await tileOf(page, 'Old title (copy)').waitFor();

        await page.getByRole('link', { name: 'History' }).click();
        const ask = page.getByRole('dialog', { name: 'Leave without saving?' });
        await ask.getByRole('button', { name: 'Stay' }).click();
        assert.match(page.url(), new RegExp(`dashboards/${id}`));

        // The session ends while a tile is being typed.
        await page.getByRole('button', { name: 'Edit Old title', exact: true }).click();
        await page.getByRole('textbox', { name: 'Title' }).fill('Half a ti');
        await cluster.call(cluster.webservers[0], 'PUT', '/api/logout', token);
        await page.getByText('Your session has ended.').waitFor();
        await logIn(page);
        await page.getByRole('dialog', { name: 'Log in again' }).waitFor({ state: 'detached' });
        token = await tokenOf(page);
        assert.equal(await page.getByRole('textbox', { name: 'Title' }).inputValue(), 'Half a ti');

        // The dialog is closed by mistake.
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await page.getByRole('button', { name: 'Edit Old title', exact: true }).click();
        await page.getByText('What you typed here before is back.').waitFor();
        await page.getByRole('textbox', { name: 'Title' }).fill('New title');
        await page.getByRole('button', { name: 'Apply' }).click();
        await tileOf(page, 'New title').waitFor();

        // Another tab of the same browser has it, too: nothing is in the page alone.
        const other = await page.context().newPage();
        await other.goto(page.url());
        await other.getByText('Your unsaved changes are back').waitFor();
        await tileOf(other, 'New title').waitFor();
        await other.close();

        await page.getByRole('link', { name: 'History' }).click();
        await ask.getByRole('button', { name: 'Save and leave' }).click();
        await page.getByRole('heading', { name: 'Search history' }).waitFor();
        const { Data } = await stored(cluster, token, id);
        assert.deepEqual(
            Data.tiles.map((one) => one.title),
            ['New title', 'Old title (copy)'],
        );
    },

    async a_tile_that_fails_says_why_and_can_be_tried_again(tabs, cluster) {
        tabs.allow(/status of 503/);
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        let away = true;
        await page.route('**/api/searchctrl/launch', (route) =>
            away
                ? route.fulfill({ status: 503, json: { Error: `No indexer ${HOSTILE}` } })
                : route.fallback(),
        );
        const data = dataOf([
            tile(1, HOSTILE, `tag=${TAG} limit 1`, 0, 0, 6, 6),
            tile(2, 'Wrong', `tag=${TAG} nosuchmodule`, 6, 0, 6, 6),
        ]);
        await show(page, await make(cluster, token, 'Failing', data));
        const failing = tileOf(page, HOSTILE);
        await failing.getByText(`No indexer ${HOSTILE}`).waitFor();
        await tileOf(page, 'Wrong').getByText('nosuchmodule').waitFor();
        await tabs.shot(page, 'dashboard-errors');
        away = false;
        await failing.getByRole('button', { name: 'Try again' }).click();
        await failing.locator('ol li .data').first().waitFor();
        assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
    },

    async forty_tiles_search_when_they_are_seen_and_a_few_at_a_time(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        let [launched, running, most] = [0, 0, 0];
        page.on('request', (request) => {
            const path = new URL(request.url()).pathname;
            if (path.endsWith('/launch')) {
                launched++;
                most = Math.max(most, ++running);
            } else if (path.endsWith('/detach')) {
                running--;
            }
        });
        const tiles = Array.from({ length: 40 }, (_, i) =>
            tile(
                i + 1,
                `Tile ${i}`,
                `tag=${TAG} json ms | stats mean(ms) over 1m | chart mean`,
                (i % 3) * 4,
                Math.floor(i / 3) * 7,
                4,
                7,
            ),
        );
        await show(page, await make(cluster, token, 'Forty', dataOf(tiles)));
        await settled(page);
        assert.ok(launched >= 6 && launched < 25, `${launched} searches for what is in view`);
        await tileOf(page, 'Tile 39').scrollIntoViewIfNeeded();
        await tileOf(page, 'Tile 39').locator('canvas').waitFor();
        await settled(page);
        assert.ok(most <= 4, `${most} searches at once`);
    },

    async dashboards_are_found_sorted_labelled_shared_and_cloned(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const mark = `m${Date.now()}`;
        await make(cluster, token, `${mark} beta`, dataOf([]), { Labels: [`${mark}-net`] });
        const id = await make(cluster, token, `${mark} alpha`, dataOf([]));
        await page.evaluate(() => (location.hash = '#/dashboards'));
        await page.getByLabel('Find a dashboard').fill(mark);
        const names = () => page.locator('li strong').allInnerTexts();
        await eventually(
            'both',
            async () => (await names()).join() === `${mark} alpha,${mark} beta`,
        );
        await page.getByRole('button', { name: `${mark} beta: a favourite` }).click();
        await eventually('the favourite first', async () => (await names())[0] === `${mark} beta`);
        await page.getByRole('button', { name: `${mark}-net`, exact: true }).click();
        await eventually('one label', async () => (await names()).join() === `${mark} beta`);
        await page.getByRole('button', { name: `${mark}-net`, exact: true }).click();

        await menu(page, `Menu of ${mark} alpha`, 'Share');
        const share = page.getByRole('dialog', { name: 'Share this dashboard' });
        await share.getByLabel('Everybody', { exact: true }).check();
        await share.getByRole('button', { name: 'Share', exact: true }).click();
        await page.getByText('for everybody').first().waitFor();
        const shared = await stored(cluster, token, id);
        assert.deepEqual([shared.Global, shared.WriteAccess.Global], [true, false]);
        await menu(page, `Menu of ${mark} alpha`, 'Clone');
        await eventually('the clone', async () => (await names()).length === 3);
        await menu(page, `Menu of ${mark} beta`, 'Delete');
        await page.getByRole('dialog').getByRole('button', { name: 'Delete', exact: true }).click();
        await page.getByText(`“${mark} beta” has been deleted.`).waitFor();
        await eventually('it is gone', async () => (await names()).length === 2);
    },

    async a_tile_follows_a_saved_query_and_an_earlier_version_comes_back(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0], { viewport: PHONE });
        const token = await tokenOf(page);
        const call = (method, path, json) =>
            cluster.call(cluster.webservers[0], method, path, token, json);
        const kept = { Name: `Saved ${process.pid}`, Query: `tag=${TAG} limit 3` };
        const saved = JSON.parse(await call('POST', '/api/library', kept));
        const id = await make(
            cluster,
            token,
            'Following',
            dataOf([tile(1, 'First', `tag=${TAG} limit 1`, 0, 0, 6, 6)]),
        );
        await show(page, id);
        await page.getByRole('button', { name: 'Edit', exact: true }).click();
        await page.getByRole('button', { name: 'Add tile' }).click();
        const dialog = page.getByRole('dialog', { name: 'Add a tile' });
        await dialog.getByLabel('Query from').selectOption({ label: kept.Name });
        await dialog.locator('ol li .data').nth(2).waitFor();
        await dialog.getByRole('button', { name: 'Add the tile' }).click();
        await tileOf(page, kept.Name).locator('ol li .data').nth(2).waitFor();

        // In one column the menu moves.
        await menu(page, `Menu of ${kept.Name}`, 'Move up');
        await page
            .getByRole('status')
            .filter({ hasText: `${kept.Name}: 1 of 2` })
            .waitFor({ state: 'attached' });
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await page.getByText('Saved.').waitFor();
        const { Data } = await stored(cluster, token, id);
        assert.equal(Data.searches[1].reference.id, saved.GUID);

        await call('PUT', `/api/library/${saved.ThingUUID}`, {
            ...saved,
            Query: `tag=${TAG} limit 5`,
        });
        await page.reload();
        await tileOf(page, kept.Name).locator('ol li .data').nth(4).waitFor();

        await menu(page, 'More about this dashboard', 'Earlier versions');
        await page.getByText('2 versions').click();
        await page.getByRole('button', { name: 'Bring back' }).click();
        await tileOf(page, kept.Name).waitFor({ state: 'detached' });
        await tileOf(page, 'First').waitFor();
    },

    async pictures_of_dashboards_in_which_axe_finds_nothing(tabs, cluster) {
        ingestSome(cluster);
        let id = 0;
        const found = [];
        for (const [name, options] of [
            ['light', { scheme: 'light', viewport: DESKTOP }],
            ['dark', { scheme: 'dark', viewport: DESKTOP }],
            ['phone', { scheme: 'light', viewport: PHONE }],
        ]) {
            const page = await tabs.login(cluster.webservers[0], options);
            await page.getByRole('button', { name: 'Later' }).click();
            const look = async (what) => {
                if (name === 'light' || ['dashboard', 'list'].includes(what)) {
                    found.push(...(await findings(page, `${name} ${what}`)));
                }
            };
            const shop = `Web shop ${process.pid}`;
            const variables = [
                { name: 'host', label: 'Host', kind: 'list', options: ['web0', 'web1'] },
                { name: 'user', label: 'User', kind: 'text' },
            ];
            id ||= await make(cluster, await tokenOf(page), shop, dataOf(SHOWCASE, { variables }), {
                Description: 'What customers see',
                Labels: ['web', 'prod'],
            });
            await show(page, id);
            await settled(page);
            await tabs.shot(page, `${name}-dashboard`);
            await look('dashboard');
            await page.getByRole('button', { name: 'Edit', exact: true }).click();
            await tabs.shot(page, `${name}-dashboard-edit`);
            await look('editing');
            await page.getByRole('button', { name: 'Edit Errors', exact: true }).click();
            await page.getByRole('dialog').locator('.value').waitFor();
            await tabs.shot(page, `${name}-dashboard-tile`);
            await look('tile');
            await page.getByRole('button', { name: 'Cancel' }).click();
            await page.getByRole('button', { name: 'Settings and variables' }).click();
            await page.getByRole('dialog').getByText('Variables', { exact: true }).waitFor();
            await look('settings');
            await tabs.shot(page, `${name}-dashboard-settings`);
            await page.getByRole('button', { name: 'Cancel' }).click();
            await page.getByRole('button', { name: 'Done' }).click();
            await page.evaluate(() => (location.hash = '#/dashboards'));
            await page.getByRole('link', { name: shop }).waitFor();
            await tabs.shot(page, `${name}-dashboards`);
            await look('list');
        }
        assert.deepEqual(found, []);
    },
};
