#!/usr/bin/env python3
"""items: what a shop has in stock. One half of the sample application; shop.py is the other.

    items.py ADDRESS:PORT SHOP_URL NAME=PRICE*STOCK...

GET  /v1/items                 all items
GET  /v1/items/tea             one
PUT  /v1/items/tea             {"price": 3, "stock": 100}: makes it or changes it
POST /v1/items/tea/take        {"quantity": 2}: out of stock; 409 when there are too few
GET  /v1/items/tea/orders      the orders for it, asked of the shop; nothing of the request is handed on

An ordinary REST service. It knows nothing of sites, scopes or Cheops.
"""

import sys
import threading

import web

ADDRESS, SHOP_URL = sys.argv[1:3]
ITEMS, LOCK = {}, threading.Lock()
for argument in sys.argv[3:]:
    name, figures = argument.split('=')
    price, stock = figures.split('*')
    ITEMS[name] = {'name': name, 'price': int(price), 'stock': int(stock)}


def find(name):
    if name not in ITEMS:
        raise web.Refused(404, f'there is no {name}')
    return ITEMS[name]


def take(name, quantity):
    item = find(name)
    if item['stock'] < quantity:
        raise web.Refused(409, f"only {item['stock']} of {name} left")
    item['stock'] -= quantity
    return 200, item


def routes(method, path, body, headers):
    with LOCK:
        match (method, path.strip('/').split('/')):
            case 'GET', ['v1', 'items']:
                return 200, list(ITEMS.values())
            case 'GET', ['v1', 'items', name]:
                return 200, find(name)
            case 'PUT', ['v1', 'items', name]:
                ITEMS[name] = {'name': name, 'price': int(body['price']), 'stock': int(body['stock'])}
                return 200, ITEMS[name]
            case 'POST', ['v1', 'items', name, 'take']:
                return take(name, int(body['quantity']))
    match (method, path.strip('/').split('/')):
        case 'GET', ['v1', 'items', name, 'orders']:
            return 200, web.ask('GET', f'{SHOP_URL}/v1/orders?item={name}')
    raise web.Refused(404, f'{method} {path}: not found')


web.serve(ADDRESS, routes)
