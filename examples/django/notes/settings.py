"""A small legacy API. It knows nothing about tokens: whoever the proxy names is the user."""

import os
import pathlib
import secrets

BASE = pathlib.Path(__file__).resolve().parent.parent
# Everything that is written while running: the database, uploads, the socket.
RUN = pathlib.Path(os.environ.get("NOTES_RUN", BASE / "run"))
RUN.mkdir(parents=True, exist_ok=True)

SECRET_KEY = secrets.token_urlsafe(32)
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "notes.urls"
WSGI_APPLICATION = "notes.wsgi.application"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "notes"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "notes.identity.ProxyUserMiddleware",
]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": RUN / "notes.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
MEDIA_ROOT = RUN / "files"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["notes.identity.ProxyUserAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
