"""Which fields of a pod are honoured, ignored or refused, as data; pure admission."""
