// Dashboards as they are edited: arranged, with variables, by two people on two webservers at once.
import assert from 'node:assert/strict';
import { logIn, PHONE } from '../lib/browser.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';
import {
    HOSTILE,
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

export const scenarios = {
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
        const save = async (page) => {
            const answered = page.waitForResponse(
                (one) => one.request().method() === 'PUT' && /dashboards\/\d+$/.test(one.url()),
            );
            await page.getByRole('button', { name: 'Save', exact: true }).click();
            await answered; /* "Saved." may still be there from the time before */
        };

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

    async who_is_copied_beside_is_told_and_may_still_choose(tabs, cluster) {
        ingestSome(cluster);
        const page = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(page);
        const board = (title) => dataOf([tile(1, title, `tag=${TAG} limit 1`, 0, 0, 6, 6)]);
        const id = await make(cluster, token, 'Beside', board('Before'));
        const path = `/api/dashboards/${id}`;
        await show(page, id);
        await page.getByRole('button', { name: 'Edit', exact: true }).click();
        await page.getByRole('button', { name: 'Edit Before', exact: true }).click();
        await page.getByRole('textbox', { name: 'Title' }).fill('Mine');
        await page.getByRole('button', { name: 'Apply' }).click();

        let answered = false;
        // As when somebody was equally fast on another webserver, and first at the datastore.
        await page.route(`**${path}`, async (route) => {
            if (route.request().method() !== 'PUT' || answered) {
                await route.fallback();
                return;
            }
            answered = true;
            const body = route.request().postDataJSON();
            const { Change: _, ...theirs } = { ...body, Data: board('Theirs') };
            await cluster.call(cluster.webservers[0], 'PUT', path, token, theirs);
            await route.fulfill({ json: { ...body, CopiedBeside: true } });
        });
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        const dialog = page.getByRole('dialog', { name: 'Somebody else was faster' });
        await dialog.getByText('Yours has been kept as a copy beside it already.').waitFor();
        await dialog.getByRole('button', { name: 'Keep mine' }).click();
        await page.getByText('Saved.').waitFor();
        assert.equal((await stored(cluster, token, id)).Data.tiles[0].title, 'Mine');
    },

    async what_is_not_saved_outlives_the_session_and_the_page_and_leaving_asks(tabs, cluster) {
        tabs.allow(/status of 401|a dialog opened|net::ERR_/);
        ingestSome(cluster);
        const page = await tabs.loginAnew(cluster.webservers[0]);
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

        await page.goBack();
        await ask.getByRole('button', { name: 'Stay' }).click();
        assert.match(page.url(), new RegExp(`dashboards/${id}`));

        // The webserver is away when it is to be saved.
        await page.context().setOffline(true);
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await page.getByText('It is not saved: The server does not answer.').waitFor();
        await page.context().setOffline(false);

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
        const launched = [];
        page.on('request', (request) => {
            if (request.url().endsWith('/launch')) {
                launched.push(request.postDataJSON().SearchString);
            }
        });
        await page.reload();
        await tileOf(page, kept.Name).locator('ol li .data').nth(4).waitFor();
        assert.ok(!launched.includes(kept.Query), 'what it was before is not searched for');

        await menu(page, 'More about this dashboard', 'Earlier versions');
        await page.getByText('2 versions').click();
        await page.getByRole('button', { name: 'Bring back' }).click();
        await tileOf(page, kept.Name).waitFor({ state: 'detached' });
        await tileOf(page, 'First').waitFor();
    },

    async who_may_only_read_looks_and_copies(tabs, cluster) {
        const admin = await tabs.login(cluster.webservers[0]);
        const token = await tokenOf(admin);
        const user = `reader${process.pid}`;
        await cluster.call(cluster.webservers[0], 'POST', '/api/users', token, {
            User: user,
            Pass: 'a long secret',
            Name: '',
            Email: '',
            Admin: false,
        });
        const id = await make(
            cluster,
            token,
            'Read only',
            dataOf([tile(1, 'Seen', 'tag=gravwell limit 2', 0, 0, 6, 6)]),
            { Global: true },
        );
        const page = await tabs.open(cluster.webservers[0], { hash: `#/dashboards/${id}` });
        await logIn(page, user, 'a long secret');
        await tileOf(page, 'Seen').waitFor();
        await settled(page);
        assert.equal(await page.getByRole('button', { name: 'Edit', exact: true }).count(), 0);
        await page.getByRole('button', { name: 'More about this dashboard' }).click();
        for (const name of ['Share', 'Delete', 'Settings and variables']) {
            assert.equal(await page.getByRole('button', { name, exact: true }).count(), 0, name);
        }
        await page.getByRole('button', { name: 'Clone', exact: true }).click();
        await page.getByRole('heading', { name: 'Read only (copy)', level: 1 }).waitFor();
        await page.getByRole('button', { name: 'Edit', exact: true }).waitFor();
    },
};
