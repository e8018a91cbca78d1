"""The online store: latest values by key, the row codec, and the rule of writing.

`codec` and `store` are what other rooms import; the backends (`lmdb_store`) are loaded by
`store.open_online_store`. Reading rows needs neither pyarrow nor numpy.
"""
