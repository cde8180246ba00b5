// Dashboards: made, looked at over another time, in full, as files and in numbers; and pictures.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { findings } from '../lib/axe.mjs';
import { DESKTOP, PHONE, search } from '../lib/browser.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';
import {
    HOSTILE,
    SHOWCASE,
    TAG,
    dataOf,
    ingestSome,
    make,
    menu,
    settled,
    show,
    stored,
    tile,
    tileOf,
} from '../lib/dashboards.mjs';

async function pictures(tabs, cluster, name, options) {
    ingestSome(cluster);
    const found = [];
    const page = await tabs.login(cluster.webservers[0], options);
    await page.getByRole('button', { name: 'Later' }).click();
    const look = async (what) => {
        if (name === 'light' || ['dashboard', 'list'].includes(what)) {
            found.push(...(await findings(page, `${name} ${what}`)));
        }
    };
    const shop = `Web shop ${name} ${process.pid}`;
    const variables = [
        { name: 'host', label: 'Host', kind: 'list', options: ['web0', 'web1'] },
        { name: 'user', label: 'User', kind: 'text' },
    ];
    const data = dataOf(SHOWCASE, { variables });
    const said = { Description: 'What customers see', Labels: ['web', 'prod'] };
    await show(page, await make(cluster, await tokenOf(page), shop, data, said));
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
    assert.deepEqual(found, []);
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
            .getByRole('combobox', { name: 'Query', exact: true })
            .or(dialog.getByRole('textbox', { name: 'Query', exact: true }))
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
        await eventually('the next one', async () => (await number('Count')) === '602');
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

    async pictures_of_dashboards_in_light_in_which_axe_finds_nothing(tabs, cluster) {
        await pictures(tabs, cluster, 'light', { scheme: 'light', viewport: DESKTOP });
    },

    async pictures_of_dashboards_in_dark_in_which_axe_finds_nothing(tabs, cluster) {
        await pictures(tabs, cluster, 'dark', { scheme: 'dark', viewport: DESKTOP });
    },

    async pictures_of_dashboards_on_a_phone_in_which_axe_finds_nothing(tabs, cluster) {
        await pictures(tabs, cluster, 'phone', { scheme: 'light', viewport: PHONE });
    },
};
