"""Queries of PostgreSQL's catalog for types, functions, grants, comments and other objects beside tables."""

from .table_queries import OF_EXTENSION, OWN, TABLES

QUERIES = [
    *TABLES,
    f"""
    SELECT 'type', format('%I.%I', nspname, typname), CASE typtype
        WHEN 'e' THEN 'enum ' || coalesce((SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
            FROM pg_enum WHERE enumtypid = o.oid), '')
        WHEN 'd' THEN concat_ws(' ', 'domain', format_type(typbasetype, typtypmod),
            CASE WHEN typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || typdefault)
        WHEN 'r' THEN (SELECT 'range of ' || format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = o.oid)
        ELSE 'composite ' || (SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', '
            ORDER BY attnum) FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped) END
    FROM pg_type o JOIN pg_namespace n ON n.oid = typnamespace LEFT JOIN pg_class c ON c.oid = typrelid
    WHERE (typtype IN ('e', 'd', 'r') OR relkind = 'c') AND {OWN}
    """,
    f"""
    SELECT 'function', o.oid::regprocedure::text,
        CASE prokind WHEN 'a' THEN 'aggregate' ELSE pg_get_functiondef(o.oid) END
    FROM pg_proc o JOIN pg_namespace n ON n.oid = pronamespace WHERE {OWN}
    -- Those of a range type belong to it.
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = o.oid AND classid = o.tableoid AND deptype = 'i')
    """,
    f"""
    SELECT 'trigger', format('%I.%I.%I', nspname, relname, tgname), concat_ws(' ',
        pg_get_triggerdef(o.oid), CASE tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled for replicas'
            WHEN 'A' THEN 'enabled always' END)
    FROM pg_trigger o JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE NOT tgisinternal AND {OWN}
    """,
    f"""
    SELECT 'policy', format('%I.%I.%I', nspname, relname, polname), concat_ws(' ',
        CASE WHEN polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END,
        CASE polcmd WHEN '*' THEN 'FOR ALL' WHEN 'r' THEN 'FOR SELECT' WHEN 'a' THEN 'FOR INSERT'
            WHEN 'w' THEN 'FOR UPDATE' WHEN 'd' THEN 'FOR DELETE' END,
        'TO ' || (SELECT string_agg(CASE who WHEN 0 THEN 'PUBLIC' ELSE who::regrole::text END, ', ' ORDER BY who)
            FROM unnest(polroles) who),
        'USING (' || pg_get_expr(polqual, polrelid) || ')',
        'WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')')
    FROM pg_policy o JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE {OWN}
    """,
    f"""
    SELECT 'rule', format('%I.%I.%I', nspname, relname, rulename), pg_get_ruledef(o.oid)
    FROM pg_rewrite o JOIN pg_class c ON c.oid = ev_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE rulename <> '_RETURN' AND {OWN}
    """,
    f"""
    SELECT 'statistics', format('%I.%I', nspname, stxname), pg_get_statisticsobjdef(o.oid)
    FROM pg_statistic_ext o JOIN pg_namespace n ON n.oid = stxnamespace WHERE {OWN}
    """,
    f"""
    SELECT kind, format('%I.%I', nspname, name), '' FROM (
        SELECT oid, tableoid, 'collation' AS kind, collname AS name, collnamespace AS schema FROM pg_collation UNION ALL
        SELECT oid, tableoid, 'text search configuration', cfgname, cfgnamespace FROM pg_ts_config UNION ALL
        SELECT oid, tableoid, 'text search dictionary', dictname, dictnamespace FROM pg_ts_dict
    ) o JOIN pg_namespace n ON n.oid = schema WHERE {OWN}
    """,
    f"""
    SELECT kind, name, definition FROM (
        SELECT oid, tableoid, 'operator' AS kind, oid::regoperator::text AS name,
            'function ' || oprcode::regproc AS definition FROM pg_operator WHERE oid >= 16384 UNION ALL
        SELECT oid, tableoid, 'event trigger', quote_ident(evtname), format('ON %s EXECUTE FUNCTION %s()', evtevent,
            evtfoid::regproc) FROM pg_event_trigger UNION ALL
        SELECT oid, tableoid, 'server', quote_ident(srvname), concat_ws(' ', srvoptions::text)
            FROM pg_foreign_server UNION ALL
        SELECT oid, tableoid, 'publication', quote_ident(pubname), CASE WHEN puballtables THEN 'FOR ALL TABLES' ELSE
            'FOR TABLE ' || (SELECT string_agg(prrelid::regclass::text, ', ' ORDER BY prrelid::regclass::text)
                FROM pg_publication_rel WHERE prpubid = pg_publication.oid) END FROM pg_publication
    ) o WHERE NOT {OF_EXTENSION}
    """,
    f"""
    -- Only what differs from the privileges that an object has by default.
    SELECT 'grant', format('on %s %s to %s', kind,
            CASE WHEN kind IN ('function', 'schema') THEN name ELSE quote_ident(nspname) || '.' || name END,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END), privileges
    FROM (
        SELECT oid, tableoid, 'relation' AS kind, quote_ident(relname) AS name, relacl AS acl, relnamespace AS schema,
            acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner) AS initial FROM pg_class
            WHERE relacl IS NOT NULL UNION ALL
        SELECT c.oid, c.tableoid, 'column', format('%I.%I', relname, attname), attacl, relnamespace,
            acldefault('c', relowner) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE attacl IS NOT NULL UNION ALL
        SELECT oid, tableoid, 'function', oid::regprocedure::text, proacl, pronamespace,
            acldefault('f', proowner) FROM pg_proc WHERE proacl IS NOT NULL UNION ALL
        SELECT oid, tableoid, 'type', quote_ident(typname), typacl, typnamespace,
            acldefault('T', typowner) FROM pg_type WHERE typacl IS NOT NULL UNION ALL
        SELECT oid, tableoid, 'schema', quote_ident(nspname), nspacl, oid, acldefault('n', nspowner) FROM pg_namespace
            WHERE nspacl IS NOT NULL
    ) o JOIN pg_namespace n ON n.oid = schema
    CROSS JOIN LATERAL (
        SELECT grantee, coalesce(privileges, 'nothing') AS privileges
        FROM (SELECT grantee, string_agg(privilege_type || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
            ', ' ORDER BY privilege_type) AS privileges FROM aclexplode(acl) GROUP BY grantee) granted
        FULL JOIN (SELECT grantee, string_agg(privilege_type, ', ' ORDER BY privilege_type) AS by_default
            FROM aclexplode(initial) GROUP BY grantee) at_first USING (grantee)
        WHERE privileges IS DISTINCT FROM by_default
    ) granted
    WHERE {OWN} OR nspname = 'public' AND kind = 'schema'
    """,
    """
    SELECT 'default privileges', concat_ws(' ', 'of ' || defaclrole::regrole, 'in ' || quote_ident(nspname), 'on',
        CASE defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
            WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE defaclobjtype::text END, 'to',
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END), string_agg(privilege_type, ', '
            ORDER BY privilege_type)
    FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = defaclnamespace CROSS JOIN LATERAL aclexplode(defaclacl)
    GROUP BY defaclrole, nspname, defaclobjtype, grantee
    """,
    """
    -- Of what models can comment on.
    SELECT 'comment', format('on %s %s', CASE WHEN type LIKE '% column' THEN 'column'
        WHEN type = 'table constraint' THEN 'constraint' ELSE type END, identity), quote_literal(description)
    FROM pg_description d, pg_identify_object(classoid, objoid, objsubid)
    WHERE objoid >= 16384 AND classoid IN ('pg_class'::regclass, 'pg_constraint'::regclass) AND NOT EXISTS (
        SELECT FROM pg_depend o WHERE o.objid = d.objoid AND o.classid = d.classoid AND deptype = 'e')
    AND type NOT IN ('index', 'sequence', 'domain constraint')
    """,
]
