// Makes one replica set of the members, and the user that Unreel logs in with. Harmless when run again.
// The job `mongodb-initiate` runs it with mongosh --nodb.
const fs = require("fs");
const secret = name => fs.readFileSync(`${process.env.SECRETS}/${name}`, "utf8").trim();
const members = process.env.MEMBERS.split(",");
const connect_as_root = (hosts, options) =>
    new Mongo(`mongodb://root:${secret("root")}@${hosts}/?authSource=admin&${options}`);

const first = connect_as_root(members[0], "directConnection=true").getDB("admin");
try {
    first.runCommand({replSetGetStatus: 1});
} catch (error) {
    if (error.codeName !== "NotYetInitialized")
        throw error;
    first.runCommand({
        replSetInitiate: {_id: "rs0", members: members.map((host, index) => ({_id: index, host}))}
    });
    print(`initiated with ${members}`);
}

// Waits until there is a primary.
const unreel = connect_as_root(members, "replicaSet=rs0&serverSelectionTimeoutMS=60000").getDB("unreel");
const rights = {pwd: secret("unreel"), roles: [{role: "readWrite", db: "unreel"}]};
if (unreel.getUser("unreel") === null)
    unreel.createUser({user: "unreel", ...rights}, {w: "majority"});
else
    unreel.updateUser("unreel", rights, {w: "majority"});
print("the user unreel is there");
