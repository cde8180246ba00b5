// Hostile and right-to-left text in every field of every kind, and axe on every page and dialog.
import assert from 'node:assert/strict';
import { findings as axe, SERIOUS } from '../lib/axe.mjs';
import { tokenOf } from '../lib/cluster.mjs';

const CORPUS = [
    '<script>globalThis.pwned=1</script>',
    '<img src=x onerror="globalThis.pwned=1">',
    '"><svg onload=globalThis.pwned=1>',
    'javascript:globalThis.pwned=1',
    "';globalThis.pwned=1//",
    '{{constructor.constructor("globalThis.pwned=1")()}}',
    '<a href="javascript:globalThis.pwned=1">x</a>',
    '\u202Eright to left\u202C',
    'مرحبا بالعالم שלום',
    '&lt;b&gt; %3Cscript%3E $& $1 %%1%%',
];
const ALL = CORPUS.join(' ');

/** Where each kind is made, with every text it has hostile; answers what its row is known by. */
const KINDS = [
    {
        page: 'macros',
        path: '/api/macros',
        json: (name) => ({ Name: 'HOSTILE', Description: name + ALL, Expansion: ALL }),
        known: 'HOSTILE',
    },
    { page: 'queries', path: '/api/library', json: (name) => ({ Name: name + ALL, Query: ALL }) },
    {
        page: 'templates',
        path: '/api/templates',
        json: (name) => ({
            Name: name + ALL,
            Contents: {
                query: `${ALL} %%X%%`,
                variables: [{ name: '%%X%%', label: ALL, description: ALL, defaultValue: ALL }],
            },
        }),
    },
    {
        page: 'actionables',
        path: '/api/pivots',
        json: (name) => ({
            Name: name + ALL,
            Contents: {
                menuLabel: ALL,
                triggers: [{ pattern: ALL }, { pattern: 'hostile.*' }],
                actions: [
                    {
                        name: ALL,
                        description: ALL,
                        command: { type: 'url', reference: 'javascript:globalThis.pwned=1' },
                    },
                    { name: ALL, command: { type: 'query', reference: ALL } },
                ],
            },
        }),
    },
    {
        page: 'resources',
        path: '/api/resources',
        json: (name) => ({ ResourceName: name + ALL, Description: ALL }),
    },
    {
        page: 'people',
        path: '/api/users',
        json: (name) => ({ User: `evil ${name}${ALL}`, Pass: 'x', Name: ALL, Email: ALL }),
        known: 'evil hostile',
    },
    { page: 'people', path: '/api/groups', json: (name) => ({ Name: name + ALL, Desc: ALL }) },
];
const SHARING = { Description: ALL, Desc: ALL, Labels: CORPUS, Global: true, GIDs: [] };
const FOREIGN = 'script, img, iframe, object, embed, [onerror], [onload], a[href^="javascript"]';

/** The row of that name, on whatever list there is. */
const rowOf = (page, name) => page.locator('ul.kept button.row').filter({ hasText: name }).first();

async function goTo(page, hash) {
    await page.evaluate((to) => (location.hash = to), `#/${hash}`);
}

async function close(page) {
    await page
        .getByRole('button', { name: /^(Cancel|Close)$/ })
        .last()
        .click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
}

/** Every dialog of what is kept, and one page: all have the same frame. */
async function everyDialog(tabs, cluster, scheme) {
    const findings = [];
    const page = await tabs.login(cluster.webservers[0], { scheme, hash: '#/resources' });
    for (const [hash, heading, button] of [
        ['resources', 'Resources', 'Upload'],
        ['queries', 'Saved queries', 'New saved query'],
        ['macros', 'Macros', 'New macro'],
        ['templates', 'Templates', 'New template'],
        ['actionables', 'Actionables', 'New actionable'],
        ['extractors', 'Extractors', 'New extractor'],
        ['files', 'Files', 'Upload'],
        ['deleted', 'Deleted', null],
        ['people', 'People', 'User'],
        ['people', 'People', 'Group'],
        ['account', 'Preferences', 'New token'],
        ['account', 'Preferences', 'Change password'],
    ]) {
        await goTo(page, hash);
        await page.getByRole('heading', { name: heading, exact: true }).waitFor();
        if (!button) {
            findings.push(...(await axe(page, `${hash}, ${scheme}`, { impacts: SERIOUS })));
        } else {
            await page.getByRole('button', { name: button, exact: true }).first().click();
            await page.getByRole('dialog').waitFor();
            const where = `${hash}: ${button}, ${scheme}`;
            findings.push(...(await axe(page, where, { inside: 'dialog', impacts: SERIOUS })));
            await tabs.shot(page, `${scheme}-dialog-${button.replaceAll(' ', '-').toLowerCase()}`);
            await close(page);
        }
    }
    assert.deepEqual(findings, []);
}

export const scenarios = {
    async hostile_text_in_every_field_of_every_kind_is_text(tabs, cluster) {
        const name = `hostile ${Date.now()} `;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/macros' });
        const token = await tokenOf(page);
        for (const kind of KINDS) {
            const json = { ...SHARING, ...kind.json(name) };
            await cluster.call(cluster.webservers[1], 'POST', kind.path, token, json);
        }
        for (const kind of KINDS) {
            await goTo(page, kind.page);
            const row = rowOf(page, kind.known ?? name);
            await row.waitFor();
            assert.equal(await page.locator('main').locator(FOREIGN).count(), 0, kind.page);
            assert.ok((await row.innerText()).includes('<script>'), `${kind.page}: shown as text`);
            const wide = await page.evaluate(
                () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
            );
            assert.equal(wide, 0, `${kind.page} is not wider than the window`);
            await row.click();
            await page.getByRole('dialog').waitFor();
            assert.equal(await page.getByRole('dialog').locator(FOREIGN).count(), 0, kind.page);
            await tabs.shot(page, `hostile-${kind.page}`);
            await page.getByRole('button', { name: 'Delete' }).click();
            await page.getByRole('button', { name: 'Delete for good' }).click();
            await page.getByRole('dialog').waitFor({ state: 'detached' });
            await row.waitFor({ state: 'detached' });
        }
        await goTo(page, 'deleted');
        await rowOf(page, name).waitFor();
        assert.equal(await page.locator('main').locator(FOREIGN).count(), 0);
        assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
    },

    async nothing_serious_is_found_by_axe_in_any_dialog_in_light(tabs, cluster) {
        await everyDialog(tabs, cluster, 'light');
    },

    async nothing_serious_is_found_by_axe_in_any_dialog_in_dark(tabs, cluster) {
        await everyDialog(tabs, cluster, 'dark');
    },

    async the_keyboard_is_enough_to_make_change_and_delete(tabs, cluster) {
        const name = `KEYS_${Date.now()}`;
        const page = await tabs.login(cluster.webservers[0], { hash: '#/macros' });
        await page.getByRole('button', { name: 'New macro' }).waitFor();
        const press = async (key, times = 1) => {
            for (let i = 0; i < times; i++) {
                await page.keyboard.press(key);
            }
        };
        const tabTo = async (wanted) => {
            for (let i = 0; i < 60; i++) {
                const at = await page.evaluate(() => {
                    const node = document.activeElement?.closest('a, button, input, textarea');
                    const ring = node ? getComputedStyle(node).outlineStyle : 'none';
                    const label = node?.labels?.[0]?.textContent ?? '';
                    return { text: `${node?.textContent ?? ''} ${label}`, ring };
                });
                if (at.text.includes(wanted)) {
                    assert.notEqual(at.ring, 'none', `the focus is seen on ${wanted}`);
                    return;
                }
                await press('Tab');
            }
            assert.fail(`Tab does not reach ${wanted}`);
        };
        await tabTo('New macro');
        await press('Enter');
        await page.getByRole('dialog').waitFor();
        await tabTo('Name');
        await page.keyboard.type(name);
        await tabTo('Expansion');
        await page.keyboard.type('grep keys');
        await press('Control+Enter');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await rowOf(page, name).waitFor();
        await tabTo(name);
        await press('Enter');
        await page.getByRole('dialog').waitFor();
        await press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
        await tabTo(name); // the focus is back where it was, or near
        await press('Enter');
        await tabTo('Delete');
        await press('Enter', 2);
        await rowOf(page, name).waitFor({ state: 'detached' });
    },
};
