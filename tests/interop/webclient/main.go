// Walks through the web API with the reference client library, unmodified: log in, search, wait,
// read, download, history, dashboards, resources, macros, templates, library, files, secrets,
// tokens, users, groups, preferences, notifications, log out. Prints one line per step; the first
// step that fails ends it with status 1.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gravwell/gravwell/v3/client"
	"github.com/gravwell/gravwell/v3/client/types"
)

var (
	server = flag.String("server", "127.0.0.1:80", "host:port of a webserver")
	other  = flag.String("other", "", "host:port of another webserver of the cluster")
	query  = flag.String("query", "tag=gravwell", "a query that finds something in the last hour")
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(ok bool, format string, args ...interface{}) {
	if !ok {
		panic(fmt.Errorf(format, args...))
	}
}

func step(name string, run func()) {
	defer func() {
		if fault := recover(); fault != nil {
			fmt.Printf("failed: %s: %v\n", name, fault)
			os.Exit(1)
		}
	}()
	run()
	fmt.Println("ok:", name)
}

func connect(address string) *client.Client {
	c, err := client.New(address, false, false)
	must(err)
	return c
}

// What was made on one webserver is on the others a moment later.
func soon(ask func() error) {
	end := time.Now().Add(time.Minute)
	err := ask()
	for err != nil && time.Now().Before(end) {
		time.Sleep(50 * time.Millisecond)
		err = ask()
	}
	must(err)
}

func searches(c *client.Client, another *client.Client) {
	end := time.Now().Add(time.Minute)
	start := end.Add(-time.Hour)
	var sid string
	step("parse", func() {
		must(c.ParseSearch(*query))
		check(c.ParseSearch("tag=gravwell nosuchmodule") != nil, "a bad query was taken")
	})
	step("search, wait, text results, detach", func() {
		s, err := c.StartSearch(*query, start, end, false)
		must(err)
		must(c.WaitForSearch(s))
		results, err := c.GetTextResults(s, 0, 128)
		must(err)
		check(len(results.Entries) > 0, "no entries")
		entries, err := c.GetEntries(s, 0, 16)
		must(err)
		check(len(entries) > 0 && entries[0].Tag == "gravwell", "entries: %+v", entries)
		c.DetachSearch(s)
	})
	step("a long query in many frames", func() {
		long := *query + " grep -v " + strings.Repeat("x", 3000)
		s, err := c.StartSearch(long, start, end, true)
		must(err)
		must(c.WaitForSearch(s))
		c.DetachSearch(s)
	})
	step("background, attach, status, info, download, save, delete", func() {
		s, err := c.StartSearchEx(types.StartSearchRequest{SearchString: *query + " raw",
			SearchStart: start.Format(time.RFC3339Nano), SearchEnd: end.Format(time.RFC3339Nano),
			Background: true})
		must(err)
		sid = s.ID
		must(c.WaitForSearch(s))
		c.DetachSearch(s)
		attached, err := c.AttachSearch(sid)
		must(err)
		raw, err := c.GetRawResults(attached, 0, 8)
		must(err)
		check(len(raw.Entries) > 0, "no raw entries")
		c.DetachSearch(attached)
		statuses, err := c.ListSearchStatuses()
		must(err)
		check(len(statuses) > 0, "no search is listed")
		info, err := c.SearchInfo(sid)
		must(err)
		check(info.UserQuery == *query+" raw", "info: %+v", info)
		body, err := c.DownloadSearch(sid, types.TimeRange{}, "json")
		must(err)
		data, err := io.ReadAll(body)
		must(err)
		check(bytes.Contains(data, []byte(`"Tag"`)), "download: %.80s", data)
		must(c.SaveSearch(sid))
		must(c.DeleteSearch(sid))
	})
	step("history, here and on the other webserver", func() {
		for _, each := range []*client.Client{c, another} {
			soon(func() error {
				lines, err := each.GetSearchHistory()
				if err == nil && (len(lines) == 0 || !strings.HasPrefix(lines[0].UserQuery, *query)) {
					err = fmt.Errorf("history: %+v", lines)
				}
				return err
			})
		}
	})
}

func dashboards(c *client.Client) {
	step("dashboards", func() {
		id, err := c.AddDashboard("edge", "one look", map[string]interface{}{"tiles": []int{1}})
		must(err)
		board, err := c.GetDashboard(id)
		must(err)
		check(board.Name == "edge", "dashboard: %+v", board)
		board.Name = "edge routers"
		must(c.UpdateDashboard(&board))
		again, err := c.GetDashboard(id)
		must(err)
		check(again.Name == "edge routers", "dashboard: %+v", again)
		copied, err := c.CloneDashboard(id)
		must(err)
		must(c.DeleteDashboard(copied))
		must(c.DeleteDashboard(id))
		_, err = c.GetDashboard(id)
		check(err != nil, "a deleted dashboard is there")
	})
}

func resources(c *client.Client, another *client.Client) {
	step("resources", func() {
		meta, err := c.CreateResource("hosts", "who owns what", false, nil)
		must(err)
		data := bytes.Repeat([]byte("host,owner\na,b\n"), 20000)
		must(c.PopulateResource(meta.GUID, data))
		list, err := c.GetResourceList()
		must(err)
		check(len(list) > 0, "no resource is listed")
		read, err := c.GetResource("hosts")
		must(err)
		check(bytes.Equal(read, data), "%d bytes instead of %d", len(read), len(data))
		soon(func() error {
			there, err := another.GetResource(meta.GUID)
			if err == nil && !bytes.Equal(there, data) {
				err = fmt.Errorf("%d bytes on the other webserver", len(there))
			}
			return err
		})
		must(c.DeleteResource(meta.GUID))
	})
}

func things(c *client.Client) {
	step("macros", func() {
		id, err := c.AddMacro(types.SearchMacro{Name: "ERR", Expansion: "grep error"})
		must(err)
		check(id != 0, "no id")
	})
	step("templates and pivots", func() {
		_, err := c.NewTemplate(uuid.Nil, "by ip", "", types.RawObject(`{"query":"tag=x"}`))
		must(err)
		_, err = c.NewPivot(uuid.Nil, "menu", "", types.RawObject(`{"actions":[]}`))
		must(err)
	})
	step("secrets and tokens", func() {
		_, err := c.CreateSecret(types.SecretCreate{Name: "hook", Value: "x"})
		must(err)
		token, err := c.CreateToken(types.TokenCreate{Name: "nightly",
			Capabilities: []string{"ResourceRead"}})
		must(err)
		byToken := connect(*server)
		must(byToken.LoginWithAPIToken(token.Value))
		_, err = byToken.GetUserDashboards(0)
		check(err != nil, "a token reached what it has no capability for")
	})
	step("files", func() {
		path := filepath.Join(os.TempDir(), fmt.Sprintf("aquifer-interop-%d", os.Getpid()))
		must(os.WriteFile(path, []byte("notes"), 0o600))
		defer os.Remove(path)
		_, err := c.AddUserFile("notes", "some", path)
		must(err)
		files, err := c.UserFiles()
		must(err)
		check(len(files) == 1 && files[0].Size == 5, "files: %+v", files)
	})
	step("notifications", func() {
		must(c.AddSelfTargetedNotification(7, "report ready", "", time.Time{}))
		count, err := c.MyNotificationCount()
		must(err)
		check(count == 1, "%d notifications", count)
	})
}

func accounts(c *client.Client) {
	step("users and groups", func() {
		must(c.AddUser("ann", "pass word", "Ann", "ann@example.net", false))
		must(c.AddGroup("soc", "operations"))
		must(c.AddUserToGroup(2, 1))
		_, err := c.MyInfo()
		must(err)
	})
	step("preferences", func() {
		must(c.PutPreferences(1, map[string]string{"theme": "dark"}))
		var got map[string]string
		must(c.GetMyPreferences(&got))
		check(got["theme"] == "dark", "preferences: %v", got)
	})
}

func main() {
	flag.Parse()
	c, another := connect(*server), connect(*server)
	if *other != "" {
		another = connect(*other)
	}
	step("log in", func() {
		check(c.Login("admin", "not the password") != nil, "a wrong password was taken")
		must(c.Login("admin", "changeme"))
		must(another.Login("admin", "changeme"))
		must(c.Test())
		must(c.TestLogin())
		must(c.TestGet("/"))
	})
	step("tags", func() {
		tags, err := c.GetTags()
		must(err)
		check(len(tags) > 0, "no tags")
	})
	searches(c, another)
	dashboards(c)
	resources(c, another)
	things(c)
	accounts(c)
	step("log out", func() {
		must(c.Logout())
		check(c.TestLogin() != nil, "the session goes on")
	})
}
