// Typing a query.
import assert from 'node:assert/strict';
import { editor, finished, rows, typed, write } from '../lib/browser.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';

const CHUNK = /\/assets\/codemirror-/;

/** The editor proper, not the text area before it. */
async function ready(page) {
    await page.locator('.cm-editor').waitFor();
}

async function reads(page, text) {
    await eventually(`the editor reads ${text}`, async () => (await typed(page)) === text);
}

export const scenarios = {
    async a_parse_error_is_underlined_where_it_is(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await write(page, 'tag=gravwell grep "ü😀" | gerp error | limit 5');
        await page.locator('.bad').waitFor();
        assert.equal(await page.locator('.bad').innerText(), 'gerp');
        assert.match(await page.locator('#query-error').innerText(), /gerp.*\(stage 2\)/);
        await page.keyboard.press('Control+Enter');
        await page.locator('.bad').waitFor();
        assert.equal(await rows(page).count(), 0);
        await tabs.shot(page, 'parse-error');
        await write(page, 'tag=gravwell limit 5');
        await page.locator('.bad').waitFor({ state: 'detached' });
    },

    async modules_names_and_macros_are_suggested_while_typing(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const macro = { Name: `SLOW${process.pid}`, Expansion: 'eval ms > 100' };
        const token = await tokenOf(page);
        await cluster.call(cluster.webservers[0], 'POST', '/api/macros', token, macro);
        await page.reload();
        await write(page, '');
        await editor(page).pressSequentially('tag=gravwell json status | sta');
        const list = page.getByRole('listbox', { name: 'Suggestions' });
        await list.getByRole('option', { name: /^stats / }).click();
        await editor(page).pressSequentially(' count by sta');
        await list.getByRole('option', { name: 'status' }).waitFor();
        await page.keyboard.press('Tab');
        await reads(page, 'tag=gravwell json status | stats count by status');
        await editor(page).pressSequentially(' | $SLOW');
        await list.getByRole('option', { name: `$${macro.Name}` }).click();
        await reads(page, `tag=gravwell json status | stats count by status | $${macro.Name}`);
    },

    async tags_are_suggested_while_typing(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await editor(page).pressSequentially('tag=gravw');
        await page.getByRole('option', { name: 'gravwell' }).waitFor();
        await page.keyboard.press('Tab');
        await reads(page, 'tag=gravwell');
        await editor(page).pressSequentially(' grep -');
        await page.getByRole('option', { name: '-simple' }).waitFor();
        await editor(page).pressSequentially('i x | li');
        await page
            .getByRole('option')
            .first()
            .filter({ hasText: /^limit/ })
            .waitFor();
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        await reads(page, 'tag=gravwell grep -i x | limit');
    },

    async saved_queries_are_offered_by_their_names(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        const name = `Failing shops ${process.pid}`;
        const saved = {
            Name: name,
            Query: 'tag=gravwell grep -i shop',
            Description: 'all of them',
        };
        const token = await tokenOf(page);
        await cluster.call(cluster.webservers[0], 'POST', '/api/library', token, saved);
        await page.reload();
        await ready(page);
        await write(page, '');
        await editor(page).pressSequentially('failing sh');
        await page.getByRole('option', { name }).waitFor();
        await tabs.shot(page, 'suggestions');
        await page.keyboard.press('Tab');
        await reads(page, saved.Query);
    },

    async the_keyboard_is_enough_for_a_query(tabs, cluster) {
        const page = await tabs.login(cluster.webservers[0]);
        await ready(page);
        await write(page, '');
        await editor(page).pressSequentially('tag=gravwell limit 2 ');
        await page.keyboard.press('Escape');
        await page.keyboard.press('Shift+Enter');
        await editor(page).pressSequentially('| raw');
        await page.keyboard.press('Enter');
        await finished(page);
        await page.getByText('2 entries in').waitFor();
        await reads(page, 'tag=gravwell limit 2 \n| raw');
        await write(page, 'tag=gravwell limit 3');
        await page.keyboard.press('Control+Enter');
        await page.getByText('3 entries in').waitFor();
        // Earlier queries, and the way back to what was being typed.
        await write(page, 'half');
        await page.keyboard.press('Escape');
        await page.keyboard.press('ArrowUp');
        await reads(page, 'tag=gravwell limit 3');
        await page.keyboard.press('ArrowUp');
        await reads(page, 'tag=gravwell limit 2 \n| raw');
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('ArrowDown');
        await reads(page, 'half');
        await page.keyboard.press('Control+/');
        await reads(page, '// half');
        await page.keyboard.press('Control+/');
        await reads(page, 'half');
        // Tab goes on, and back again.
        await page.keyboard.press('Tab');
        await page.locator(':focus').and(page.getByRole('button')).first().waitFor();
        await page.keyboard.press('Shift+Tab');
        assert.ok(await editor(page).evaluate((node) => node === document.activeElement));
        await page.getByRole('button', { name: /^Time range/ }).focus();
        await page.keyboard.press('/');
        assert.ok(await editor(page).evaluate((node) => node === document.activeElement));
    },

    async what_is_typed_before_the_editor_has_come_stays(tabs, cluster) {
        const page = await tabs.open(cluster.webservers[0]);
        let release;
        const held = new Promise((resolve) => (release = resolve));
        await page.route(CHUNK, async (route) => {
            await held;
            await route.continue();
        });
        await page.getByLabel('Password').fill('changeme');
        await page.keyboard.press('Enter');
        await editor(page).pressSequentially('tag=gravwell li');
        assert.equal(await page.locator('.cm-editor').count(), 0);
        release();
        await ready(page);
        await page.getByRole('option', { name: /^limit / }).waitFor();
        await page.keyboard.type('mit 1');
        await reads(page, 'tag=gravwell limit 1');
        await page.keyboard.press('Enter');
        await page.getByText('1 entry in').waitFor();
    },

    async a_query_can_be_asked_when_the_editor_never_comes(tabs, cluster) {
        tabs.allow(/ERR_FAILED/);
        const page = await tabs.open(cluster.webservers[0]);
        await page.route(CHUNK, (route) => route.abort());
        await page.getByLabel('Password').fill('changeme');
        await page.keyboard.press('Enter');
        await write(page, 'tag=gravwell limit 1');
        await page.keyboard.press('Enter');
        await rows(page).first().waitFor();
    },
};
