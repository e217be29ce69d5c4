"""Gunicorn's settings: `gunicorn --config python:django_service.gunicorn_settings …`; options given win."""

wsgi_app = "django_service.wsgi:application"
bind = "127.0.0.1:8000"
workers = 2
accesslog = "-"
access_log_format = '%(t)s "%(r)s" %(s)s %(b)s %(M)sms'
timeout = 30
graceful_timeout = 10
# The socket's place is one for all Gunicorns of a user: two of them would take it from each other.
control_socket_disable = True
