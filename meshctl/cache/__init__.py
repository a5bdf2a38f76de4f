"""What earlier runs found out, kept in the user's own cache folder so that the next run need not.

An entry only ever spares work: it says on which bytes and files it rests, and one that is damaged, of another version,
or about anything that has changed since is no entry. What a run writes and says is the same with it, without it, and with any
that is not sound (decision 0151).

Nothing here imports what takes long (`typing`, `re`, `msgspec`): a run with nothing to do ends right behind this.
"""
