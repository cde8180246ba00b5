// Macros, templates, actionables, saved queries: made here, changed there, brought back.
import assert from 'node:assert/strict';
import { rows, search, typed } from '../lib/browser.mjs';
import { eventually, tokenOf } from '../lib/cluster.mjs';

const row = (on, list, name) =>
    on.getByRole('list', { name: list }).getByRole('button', { name, exact: false }).first();

async function save(page) {
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
}

async function remove(page) {
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete for good' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
}

export const scenarios = {
    async a_macro_is_made_tried_changed_there_and_brought_back(tabs, cluster) {
        const name = `ERR_${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/macros' });
        const there = await tabs.login(cluster.webservers[1], { hash: '#/macros' });
        await page.getByRole('button', { name: 'New macro' }).click();
        await page.getByLabel('Name', { exact: true }).fill(name.toLowerCase());
        await page.getByLabel('Expansion').fill('grep "%%1%%" | limit %%2%%');
        await page.getByLabel('Try with argument 1').fill('two words');
        await page.getByLabel('Try with argument 2').fill('7');
        await page.getByText('grep "two words" | limit 7').waitFor();
        await page.getByText('The server understands it.').waitFor();
        await page.getByLabel('Expansion').fill('grep "%%1%%" | nosuchmodule');
        await page
            .getByText(/nosuchmodule/)
            .last()
            .waitFor();
        await page.getByLabel('Expansion').fill('grep %%1%%');
        await tabs.shot(page, 'macro');
        await save(page);

        // Open here while it is changed there: it is said, and nothing typed is lost.
        await row(page, 'Macros', name).click();
        await page.getByLabel('Description').fill('typed here');
        await row(there, 'Macros', name).click();
        await there.getByLabel('Expansion').fill('grep -v %%1%%');
        await there.getByLabel('Labels').fill('ops');
        await save(there);
        await page.getByText('Somebody has changed this meanwhile.').waitFor();
        assert.equal(await page.getByLabel('Description').inputValue(), 'typed here');
        await page.keyboard.press('Escape');
        await page.getByText('This is not saved yet.').waitFor();
        await page.getByRole('button', { name: 'Discard' }).click();

        await row(page, 'Macros', name).getByText('ops').waitFor();
        await row(page, 'Macros', name).click();
        await page.getByText('2 versions').click();
        await page.getByRole('button', { name: 'What was changed since' }).click();
        await page.getByText('grep -v %%1%%').last().waitFor();
        await page.getByRole('button', { name: 'Bring back' }).click();
        await row(there, 'Macros', name)
            .getByText(/^grep %%1%%/)
            .waitFor();
        await row(there, 'Macros', name).click();
        await remove(there);
        await row(page, 'Macros', name).waitFor({ state: 'detached' });

        await there.goto(`${cluster.webservers[1]}/#/deleted`);
        await row(there, 'Deleted', name).click();
        await row(page, 'Macros', name).waitFor();
        await row(page, 'Macros', name).click();
        await remove(page);
    },

    async a_template_asks_for_its_blanks_and_runs(tabs, cluster) {
        const name = `by word ${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/templates' });
        const there = await tabs.login(cluster.webservers[1], { hash: '#/templates' });
        await page.getByRole('button', { name: 'New template' }).click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByLabel('Query', { exact: true }).fill('tag=gravwell grep %%WORD%%');
        await page.getByLabel('Asked for as').fill('Which word');
        await page.getByText('The server understands it.').waitFor();
        await tabs.shot(page, 'template');
        await save(page);
        await there.getByRole('button', { name: `Run ${name}` }).click();
        await there.getByLabel('Which word').fill('not there');
        await there.getByRole('button', { name: 'Run', exact: true }).click();
        await eventually(
            'the filled-in query',
            async () => (await typed(there)) === 'tag=gravwell grep "not there"',
        );
        await row(page, 'Templates', name).click();
        await remove(page);
    },

    async a_saved_query_is_made_run_there_and_copied(tabs, cluster) {
        const name = `own log ${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/queries' });
        const there = await tabs.login(cluster.webservers[1], { hash: '#/queries' });
        await page.getByRole('button', { name: 'New saved query' }).click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByLabel('Query', { exact: true }).fill('tag=gravwell limit 3');
        await save(page);
        await there.getByRole('button', { name: `Run ${name}` }).click();
        await there.getByText('3 entries in').waitFor();
        await row(page, 'Saved queries', name).click();
        await page.getByRole('button', { name: 'Copy' }).click();
        await save(page);
        for (const one of [`${name} copy`, name]) {
            await row(page, 'Saved queries', one).click();
            await remove(page);
        }
    },

    async an_actionable_offers_its_actions_where_its_pattern_matches(tabs, cluster) {
        const name = `address ${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/actionables' });
        const there = await tabs.login(cluster.webservers[1], { hash: '#/actionables' });
        await page.getByRole('button', { name: 'New actionable' }).click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByLabel('Pattern 1', { exact: true }).fill('(');
        await page.getByLabel('Name of action 1', { exact: true }).fill('Find it');
        await page.getByLabel('Query of action 1').fill('tag=* grep _VALUE_');
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await page.getByText('This is not a pattern: (').waitFor();
        await page.getByLabel('Pattern 1', { exact: true }).fill('\\d+\\.\\d+\\.\\d+\\.\\d+');
        await page.getByLabel('Try it with a line').fill('from 192.0.2.7 to <b>');
        await page.getByText('Offered: Find it (192.0.2.7)').waitFor();
        await tabs.shot(page, 'actionable');
        await save(page);
        await row(there, 'Actionables', name).getByText('Find it').waitFor();

        // Offered with a result, here.
        const word = `found${Date.now()}`;
        cluster.ingest('actions', [`${word} from 192.0.2.7`, `other line to 192.0.2.7 and on`]);
        await page.evaluate(() => (location.hash = '#/search'));
        await search(page, `tag=actions grep ${word}`);
        await rows(page).first().click();
        await page.getByRole('button', { name: 'Find it 192.0.2.7' }).click();
        await eventually(
            'the query of the action',
            async () => (await typed(page)) === 'tag=* grep 192.0.2.7',
        );
        await page.evaluate(() => (location.hash = '#/actionables'));
        await row(there, 'Actionables', name).click();
        await remove(there);
        await row(page, 'Actionables', name).waitFor({ state: 'detached' });
    },

    async an_extractor_is_made_tested_and_used_there(tabs, cluster) {
        tabs.allow(/status of 4\d\d/);
        const name = `fields ${Date.now()}`;
        const tag = `extracted${Date.now()}`;
        cluster.ingest(tag, ['one,alpha', 'two,beta']);
        const page = await tabs.login(cluster.webservers[0], { hash: '#/extractors' });
        const there = await tabs.login(cluster.webservers[1], { hash: '#/extractors' });
        await page.getByRole('button', { name: 'New extractor' }).click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByLabel('Tags', { exact: true }).fill(tag);
        await page.getByLabel('Module', { exact: true }).selectOption('regex');
        await page.getByLabel('Pattern', { exact: true }).fill('(?P<broken');
        await page.getByRole('button', { name: 'Test it' }).click();
        await page.locator('.test .wrong').getByText(/./).waitFor();
        await page.getByLabel('Module', { exact: true }).selectOption('csv');
        await page.getByLabel('Fields', { exact: true }).fill('number, letter');
        await page.getByRole('button', { name: 'Test it' }).click();
        await page.getByText('The server understands it.').waitFor();
        await tabs.shot(page, 'extractor');
        await save(page);
        await row(there, 'Extractors', name).getByText(tag).waitFor();
        await there.evaluate(() => (location.hash = '#/search'));
        await search(there, `tag=${tag} ax letter | table letter`);
        await there.getByText('alpha').first().waitFor();
        await row(page, 'Extractors', name).click();
        await remove(page);
    },

    async a_file_is_uploaded_edited_in_place_and_deleted_there(tabs, cluster) {
        const name = `notes-${Date.now()}.csv`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/files' });
        const there = await tabs.login(cluster.webservers[1], { hash: '#/files' });
        await page.getByRole('button', { name: 'Upload' }).click();
        await page.getByLabel('File', { exact: true }).setInputFiles({
            name,
            mimeType: 'text/csv',
            buffer: Buffer.from('a,b\n1,2\n'),
        });
        await save(page);
        await row(there, 'Files', name).click();
        await there.getByRole('button', { name: 'Edit contents' }).click();
        await there.getByRole('textbox', { name: 'Contents' }).fill('a,b\n1,edited\n');
        await there.getByRole('cell', { name: 'edited' }).waitFor();
        await save(there);
        await row(page, 'Files', name).getByText('13 B').waitFor();
        await row(page, 'Files', name).click();
        await page.getByRole('cell', { name: 'edited' }).waitFor();
        await remove(page);
        await row(there, 'Files', name).waitFor({ state: 'detached' });
    },

    async a_session_that_ends_under_an_open_dialog_loses_nothing(tabs, cluster) {
        tabs.allow(/status of 401/);
        const name = `kept ${Date.now()}`;
        let ended = false;
        const page = await tabs.loginAnew(cluster.webservers[0], { hash: '#/queries' });
        await page.getByRole('button', { name: 'New saved query' }).click();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByLabel('Query', { exact: true }).fill('tag=gravwell limit 1');
        // It ends while the saving is on its way.
        await page.route('**/api/library', async (route) => {
            if (route.request().method() === 'POST' && !ended) {
                const token = await tokenOf(page);
                await cluster.call(cluster.webservers[1], 'PUT', '/api/logout', token);
                await cluster.refused(cluster.webservers[0], token);
                ended = true;
            }
            await route.fallback();
        });
        const answered = page.waitForResponse(
            (one) => one.request().method() === 'POST' && one.url().endsWith('/api/library'),
        );
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await answered;
        const again = page.getByRole('dialog', { name: 'Log in again' });
        await again.getByText('Your session has ended.').waitFor();
        await tabs.shot(page, 'login-again');
        assert.equal(await again.getByLabel('User name').inputValue(), 'admin');
        await again.getByLabel('Password').fill('changeme');
        await page.keyboard.press('Enter');
        await again.waitFor({ state: 'detached' });
        assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), name);
        await save(page);
        await row(page, 'Saved queries', name).click();
        await remove(page);
    },
};
