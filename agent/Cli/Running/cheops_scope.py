"""Gives the openstack command the option --scope: all requests of that command then carry the scope to Cheops.

Found by the entry point openstack.cli.extension, whose protocol asks for the capitalised names and for make_client.
"""
import argparse
import functools
import os

from keystoneauth1 import session

API_NAME = 'cheops_scope'
API_VERSION_OPTION = 'os_cheops_scope_version'
API_VERSIONS = {'1': 'cheops_scope'}
DEFAULT_API_VERSION = '1'

_carried = None


def carry(scope):
    """From now on, requests of every session of this process carry the scope; one that has its own keeps it."""
    global _carried
    if _carried is None:
        send = session.Session.request

        @functools.wraps(send)
        def request(self, url, method, **arguments):
            headers = dict(arguments.pop('headers', None) or {})
            if not any(name.lower() == 'scope' for name in headers):
                headers['Scope'] = _carried
            return send(self, url, method, headers=headers, **arguments)

        session.Session.request = request
    _carried = scope


class Carry(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        # Not kept in the namespace: the client takes what is there for configuration, and braces for its own variables.
        carry(values)


def build_option_parser(parser):
    parser.add_argument(
        '--scope',
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        metavar='<scope>',
        action=Carry,
        help="Sites that this command's requests are for, such as '{glance: Site2, nova: Site1}' (Env: OS_CHEOPS_SCOPE)",
    )
    given = os.environ.get('OS_CHEOPS_SCOPE')
    if given:
        carry(given)
    return parser


def make_client(instance):
    return None
