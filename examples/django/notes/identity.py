"""Django's own way to take the user from a proxy, told which field to read.

Django reads REMOTE_USER by default, which a web server in the same process sets. Behind a proxy the
name comes as the field `Remote-User`, in WSGI's spelling HTTP_REMOTE_USER. That is safe because the
proxy removes every client's spelling of that field before it adds its own.
"""

from django.contrib.auth.middleware import RemoteUserMiddleware
from rest_framework.authentication import RemoteUserAuthentication

FIELD = "HTTP_REMOTE_USER"


class ProxyUserMiddleware(RemoteUserMiddleware):
    header = FIELD


class ProxyUserAuthentication(RemoteUserAuthentication):
    header = FIELD
