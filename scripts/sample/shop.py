#!/usr/bin/env python3
"""shop: takes orders for items. One half of the sample application; items.py is the other.

    shop.py ADDRESS:PORT ITEMS_URL

GET  /v1/orders[?item=tea]     the orders
GET  /v1/orders/1              one
POST /v1/orders                {"item": "tea", "quantity": 2}: takes the items out of stock, at the service items

An ordinary REST service. It knows nothing of sites, scopes or Cheops. As many services do, it hands the X-Request-ID of
a request on to those that it makes in turn, so that the lines of both logs can be told to belong together.
"""

import sys
import threading
import urllib.parse

import web

ADDRESS, ITEMS_URL = sys.argv[1:3]
ORDERS, LOCK = [], threading.Lock()


def order(body, headers):
    item, quantity = str(body['item']), int(body['quantity'])
    handed_on = {'X-Request-ID': headers['X-Request-ID']} if headers.get('X-Request-ID') else {}
    taken = web.ask('POST', f'{ITEMS_URL}/v1/items/{item}/take', {'quantity': quantity}, handed_on)
    with LOCK:
        ORDERS.append({'id': len(ORDERS) + 1, 'item': item, 'quantity': quantity, 'total': quantity * taken['price']})
        return 201, ORDERS[-1]


def routes(method, path, body, headers):
    url = urllib.parse.urlsplit(path)
    match (method, url.path.strip('/').split('/')):
        case 'GET', ['v1', 'orders']:
            wanted = urllib.parse.parse_qs(url.query).get('item')
            return 200, [one for one in ORDERS if not wanted or one['item'] in wanted]
        case 'GET', ['v1', 'orders', number] if number.isdigit() and 0 < int(number) <= len(ORDERS):
            return 200, ORDERS[int(number) - 1]
        case 'POST', ['v1', 'orders']:
            return order(body, headers)
    raise web.Refused(404, f'{method} {path}: not found')


web.serve(ADDRESS, routes)
